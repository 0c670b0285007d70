"""The forms of scientific jobs: one for each application, made from the schema of its template."""

import functools
from collections.abc import Mapping

from marshmallow import Schema, fields

from service.schemas.science import APPLICATION_TEMPLATES, SCIENCE_SCHEMAS
from service.sizing.kind import Kind
from service.sizing.science.application import Template
from service.web.form.field import Form, Group, fields_of

FIRST = "boltz-2"
_NAMED_ALREADY = ("kind", "application")
_WORDS = {
    "workload.tokens.mean": "Tokens of a target, mean",
    "workload.tokens.p95": "95th percentile",
    "targets_day": "Targets per day",
    "seeds": "Seeds per target",
    "samples": "Samples per seed",
    "route": "Alignments",
    "unique_chains_per_target": "New chains per target",
    "ns_day": "Nanoseconds per day",
    "replicas": "Trajectories",
    "deadline_days": "Done within",
    "genomes_day": "Genomes per day",
    "forecasts_day": "Forecasts per day",
    "designs_day": "Designs per day",
    "ligands_day": "Ligands per day",
    "step_flop": "FLOP of a step",
    "step_bytes": "Bytes moved in a step",
    "resident_gb": "Resident in GPU memory",
    "halo_bytes": "Bytes a GPU exchanges in a step",
}
# What each form opens with, so that it opens with an answer.
_INITIAL: Mapping[Template, Mapping[str, str]] = {
    Template.FOLDING: {"targets_day": "2000", "tokens.mean": "900", "tokens.p95": "1800", "seeds": "5"},
    Template.MD: {"atoms": "1067000", "ns_day": "400", "replicas": "20"},
    Template.GENOMICS: {"genomes_day": "500"},
    Template.WEATHER: {"forecasts_day": "24", "members": "50", "steps": "12"},
    Template.DOCKING: {"ligands_day": "100000000"},
    Template.DESIGN: {"designs_day": "500", "design_s": "600"},
    Template.ROOFLINE: {
        "precision": "fp64", "step_flop": "4e15", "step_bytes": "9e14", "resident_gb": "900", "steps": "2e6",
        "target.deadline_days": "3",
    },
    Template.LATTICE: {"cells": "1e9", "steps": "1e6", "target.deadline_days": "2"},
    Template.SEQUENCE_TRAINING: {"parameters": "3e9", "tokens": "1e11", "target.deadline_days": "7"},
    Template.RECIPE_TRAINING: {"target.deadline_days": "2"},
}  # fmt: skip


def initial(application: str) -> dict[str, str]:
    """What the form of an application opens with."""
    typed = _INITIAL[APPLICATION_TEMPLATES[application]]
    return {f"workload.{name}": value for name, value in typed.items()}


@functools.cache
def form_of(application: str, name: str) -> Form:
    """The form of an application, which people call by this name."""
    schema = SCIENCE_SCHEMAS[APPLICATION_TEMPLATES[application]]()
    needed, others = _names(schema)
    groups = [Group(title=name, fields=fields_of(schema, "workload", *needed, words=_WORDS))]
    if others:
        groups.append(
            Group(title="How it is run", folded=True, fields=fields_of(schema, "workload", *others, words=_WORDS))
        )
    return Form(
        kind=Kind.SCIENCE.value,
        title="Run a scientific application",
        lead="How many servers keep up with the lab?",
        fixed=(("workload.kind", Kind.SCIENCE.value), ("workload.application", application)),
        groups=tuple(groups),
    )


def _names(schema: Schema) -> tuple[list[str], list[str]]:
    """The fields that must be given, and the others; of what is nested, each."""
    needed: list[str] = []
    others: list[str] = []
    for name, found in schema.load_fields.items():
        if name in _NAMED_ALREADY:
            continue
        inner = [f"{name}.{part}" for part in found.schema.load_fields] if isinstance(found, fields.Nested) else [name]
        (needed if found.required else others).extend(inner)
    return needed, others
