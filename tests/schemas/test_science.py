"""Scientific workloads on the wire."""

import pytest
from marshmallow import ValidationError

from service.schemas.science import APPLICATION_TEMPLATES, DEMAND_FIELDS, SCIENCE_ESTIMATE_SCHEMAS, SCIENCE_SCHEMAS
from service.sizing.science.application import Template
from service.sizing.science.workload import FoldingWorkload, MdWorkload, Msa, MsaSearch, SizeDistribution

BODIES = {
    Template.FOLDING: {"application": "boltz-2", "targets_day": 2000, "tokens": 900},
    Template.MD: {"application": "gromacs", "atoms": 1067000, "ns_day": 400},
    Template.GENOMICS: {"application": "parabricks", "genomes_day": 100},
    Template.WEATHER: {"application": "corrdiff", "forecasts_day": 100, "steps": 18},
    Template.DOCKING: {"application": "docking", "ligands_day": 1e8},
    Template.DESIGN: {"application": "rfdiffusion", "designs_day": 100, "design_s": 60},
    Template.ROOFLINE: {
        "application": "roofline",
        "precision": "fp64",
        "step_flop": 4e15,
        "step_bytes": 9e14,
        "resident_gb": 900,
        "steps": 2e6,
        "target": {"deadline_days": 3},
    },
    Template.LATTICE: {"application": "fluidx3d", "cells": 1e9, "steps": 1e6, "target": {"deadline_days": 3}},
    Template.SEQUENCE_TRAINING: {
        "application": "esm-2",
        "parameters": 3e9,
        "tokens": 1e12,
        "target": {"deadline_days": 30},
    },
    Template.RECIPE_TRAINING: {"application": "openfold-training", "target": {"deadline_days": 1}},
}


def load(template, **changes):
    body = {"kind": "science", **BODIES[template], **changes}
    return SCIENCE_SCHEMAS[template]().load({k: v for k, v in body.items() if v is not ...})


@pytest.mark.parametrize("template", list(Template))
def test_what_is_dumped_loads_to_the_same(template):
    workload = load(template)
    spelled = SCIENCE_SCHEMAS[template]().dump(workload)

    assert SCIENCE_SCHEMAS[template]().load(spelled) == workload
    assert SCIENCE_SCHEMAS[template]().dump(SCIENCE_SCHEMAS[template]().load(spelled)) == spelled
    assert APPLICATION_TEMPLATES[workload.application] is template


def test_every_default_is_spelled_out():
    spelled = SCIENCE_SCHEMAS[Template.FOLDING]().dump(load(Template.FOLDING))

    assert spelled == {
        "kind": "science",
        "application": "boltz-2",
        "targets_day": 2000,
        "tokens": {"mean": 900},
        "seeds": 1,
        "samples": None,
        "recycles": None,
        "msa": {"route": "precomputed", "unique_chains_per_target": 1},
        "keep_embeddings": False,
    }


def test_a_number_and_a_mean_are_the_same_length():
    assert load(Template.FOLDING, tokens=900) == load(Template.FOLDING, tokens={"mean": 900.0, "p95": None})


def test_the_example_of_the_interface_loads():
    found = load(
        Template.FOLDING,
        tokens={"mean": 900, "p95": 1800},
        seeds=5,
        msa={"route": "mmseqs2-gpu", "unique_chains_per_target": 2},
    )

    assert found == FoldingWorkload(
        application="boltz-2",
        targets_day=2000.0,
        tokens=SizeDistribution(mean=900.0, p95=1800.0),
        seeds=5,
        msa=Msa(route=MsaSearch.MMSEQS2_GPU, unique_chains_per_target=2.0),
    )


@pytest.mark.parametrize("atoms", [0, -1, 1e9 + 1, 10**18, 1.5, "1000", True, None, float("nan"), float("inf"), [1]])
def test_impossible_atoms_are_refused_with_the_limit(atoms):
    with pytest.raises(ValidationError) as refused:
        load(Template.MD, atoms=atoms)

    (message,) = refused.value.messages["atoms"]
    if isinstance(atoms, int | float) and not isinstance(atoms, bool) and float(atoms).is_integer():
        assert message.limit == "at least 1, at most 1,000,000,000"


def test_a_billion_atoms_are_possible():
    assert load(Template.MD, atoms=1e9).atoms == 10**9


@pytest.mark.parametrize(
    ("template", "changes", "field"),
    [
        (Template.FOLDING, {"targets_day": 0}, "targets_day"),
        (Template.FOLDING, {"targets_day": ...}, "targets_day"),
        (Template.FOLDING, {"tokens": 0}, "tokens"),
        (Template.FOLDING, {"tokens": {"mean": 900, "p95": 100}}, "tokens"),
        (Template.FOLDING, {"seeds": 0}, "seeds"),
        (Template.FOLDING, {"msa": {"route": "blast"}}, "msa"),
        (Template.FOLDING, {"residues": 900}, "residues"),
        (Template.MD, {"timestep_fs": 0}, "timestep_fs"),
        (Template.MD, {"replicas": 0}, "replicas"),
        (Template.DESIGN, {"design_s": 0}, "design_s"),
        (Template.ROOFLINE, {"step_flop": -1}, "step_flop"),
        (Template.ROOFLINE, {"step_flop": 0, "step_bytes": 0}, "step_flop"),
        (Template.ROOFLINE, {"precision": "fp63"}, "precision"),
        (Template.ROOFLINE, {"target": {"deadline_days": 0}}, "target"),
        (Template.ROOFLINE, {"target": ...}, "target"),
        (Template.SEQUENCE_TRAINING, {"parameters": 10**18}, "parameters"),
        (Template.SEQUENCE_TRAINING, {"precision": "fp64"}, "precision"),
    ],
)
def test_bad_input_is_refused_at_its_field(template, changes, field):
    with pytest.raises(ValidationError) as refused:
        load(template, **changes)

    assert field in refused.value.messages


@pytest.mark.parametrize("template", list(Template))
def test_an_estimate_has_no_demand(template):
    body = {"kind": "science", **BODIES[template]}
    demand = DEMAND_FIELDS[template]
    schema = SCIENCE_ESTIMATE_SCHEMAS[template]()
    with pytest.raises(ValidationError) as refused:
        schema.load(body)

    assert list(refused.value.messages) == [demand]
    del body[demand]
    assert getattr(schema.load(body), demand) is None


def test_replicas_default_to_one():
    assert load(Template.MD) == MdWorkload(application="gromacs", atoms=1067000, ns_day=400.0)


def test_a_p95_beyond_every_log_normal_is_refused_with_the_limit():
    assert load(Template.FOLDING, tokens={"mean": 900, "p95": 3480}).tokens.p95 == 3480
    with pytest.raises(ValidationError) as refused:
        load(Template.FOLDING, tokens={"mean": 900, "p95": 3500})
    (issue,) = refused.value.normalized_messages()["tokens"]["p95"]
    assert issue.limit == "at most 3.87 times the mean, 3481.32"
