"""Scientific workloads on the wire: one schema per template, every default spelled out when dumped."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from service.schemas.issue import Issue
from service.schemas.length import SizeField
from service.schemas.strict import Amount, Choice, Count, Flag, RecordSchema, Text
from service.sizing.kind import Kind
from service.sizing.precision import Precision
from service.sizing.science.application import Template
from service.sizing.science.workload import (
    DeadlineTarget,
    DesignWorkload,
    DockingWorkload,
    FoldingWorkload,
    GenomicsWorkload,
    LatticeWorkload,
    MdWorkload,
    Msa,
    MsaSearch,
    RecipeTrainingWorkload,
    RooflineWorkload,
    SequenceTrainingWorkload,
    WeatherWorkload,
)

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_SCIENCE_PRECISIONS = tuple(Precision(name) for name in ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8"))
_TRAINING_PRECISIONS = (Precision.BF16, Precision.FP8, Precision.FP4)

APPLICATION_TEMPLATES: dict[str, Template] = {
    **dict.fromkeys(
        ("alphafold-2", "alphafold-3", "boltz-2", "chai-1", "esmfold", "openfold-2", "openfold-3", "protenix"),
        Template.FOLDING,
    ),
    **dict.fromkeys(("amber", "gromacs", "lammps", "namd", "openmm"), Template.MD),
    "parabricks": Template.GENOMICS,
    **dict.fromkeys(("corrdiff", "fourcastnet"), Template.WEATHER),
    "docking": Template.DOCKING,
    "rfdiffusion": Template.DESIGN,
    **dict.fromkeys(("gemm", "roofline"), Template.ROOFLINE),
    "fluidx3d": Template.LATTICE,
    **dict.fromkeys(("esm-2", "evo-2"), Template.SEQUENCE_TRAINING),
    "openfold-training": Template.RECIPE_TRAINING,
}
"""Which fields an application has. A test holds this against config/science, which a schema must not read."""


class MsaSchema(RecordSchema):
    """The alignment stage."""

    record = Msa

    route = Choice("How alignments are made.", MsaSearch, load_default=MsaSearch.PRECOMPUTED)
    unique_chains_per_target = Amount(
        "Chains per target that have no alignment yet.", low=0, high=1000, load_default=1.0
    )


class DeadlineTargetSchema(RecordSchema):
    """When the whole job must be done."""

    record = DeadlineTarget

    deadline_days = Amount("Be done within so many days.", low=0.001, high=3650, required=True)


class ScienceSchema(RecordSchema):
    """What every scientific workload has."""

    kind = Choice("What kind of workload this is.", (Kind.SCIENCE,), required=True)
    application = Text("An id of /v1/catalog/applications.", longest=60, required=True)


def _per_day(what: str) -> Amount:
    return Amount(f"{what} per day.", low=0, high=1e9, above=True, required=True)


def _target() -> fields.Nested:
    return fields.Nested(DeadlineTargetSchema, required=True, metadata={"description": "The deadline of the job."})


class FoldingSchema(ScienceSchema):
    """Structure prediction."""

    record = FoldingWorkload

    targets_day = _per_day("Targets")
    tokens = SizeField(
        "Residues, ligand atoms and nucleotides of a target: a number or {mean, p95}.", low=1, high=1e6, required=True
    )
    seeds = Count("Seeds per target.", low=1, high=100_000, load_default=1)
    samples = Count(
        "Diffusion samples per seed; null is what the application is published with.", low=1, high=1000, **_OPTIONAL
    )
    recycles = Count("Recycles; null is what the application is published with.", low=0, high=100, **_OPTIONAL)
    msa = fields.Nested(MsaSchema, load_default=Msa, metadata={"description": "The alignment stage."})
    keep_embeddings = Flag("Whether embeddings are kept on disk beside the structures.", load_default=False)


class MdSchema(ScienceSchema):
    """Molecular dynamics."""

    record = MdWorkload

    atoms = Count("Atoms of one system.", low=1, high=1_000_000_000, required=True)
    ns_day = Amount("Nanoseconds per day, summed over the replicas.", low=0, high=1e9, above=True, required=True)
    timestep_fs = Amount("Integration step.", low=0.01, high=20, load_default=2.0)
    replicas = Count("Independent trajectories.", low=1, high=1_000_000, load_default=1)
    method = Text("Electrostatics or force field, as the application lists it.", longest=40, **_OPTIONAL)


class GenomicsSchema(ScienceSchema):
    """Whole genomes."""

    record = GenomicsWorkload

    genomes_day = _per_day("Genomes")
    coverage = Amount("Mean coverage.", low=0.1, high=10_000, load_default=30.0)
    pipeline = Text("A pipeline that the application lists.", longest=40, **_OPTIONAL)


class WeatherSchema(ScienceSchema):
    """AI weather."""

    record = WeatherWorkload

    forecasts_day = _per_day("Forecasts")
    members = Count("Members of one forecast.", low=1, high=1_000_000, load_default=1)
    steps = Amount("Diffusion steps or lead-time steps of one member.", low=1, high=1e6, required=True)
    release = Text("Release of the application, as it lists them.", longest=40, **_OPTIONAL)


class DockingSchema(ScienceSchema):
    """Docking."""

    record = DockingWorkload

    ligands_day = Amount("Ligands per day.", low=0, high=1e12, above=True, required=True)
    ligands_s_gpu = Amount("Your own rate on measured_gpu.", low=1e-6, high=1e9, **_OPTIONAL)
    measured_gpu = Text("The GPU of ligands_s_gpu.", longest=60, **_OPTIONAL)


class DesignSchema(ScienceSchema):
    """Protein design."""

    record = DesignWorkload

    designs_day = _per_day("Designs")
    design_s = Amount("Your own seconds per design on measured_gpu.", low=1e-3, high=1e7, required=True)
    measured_gpu = Text("The GPU of design_s.", longest=60, **_OPTIONAL)


class RooflineSchema(ScienceSchema):
    """One coupled job that is bound by arithmetic or memory."""

    record = RooflineWorkload

    precision = Choice("Number format of the arithmetic.", _SCIENCE_PRECISIONS, required=True)
    step_flop = Amount("FLOP of one step.", low=0, high=1e24, required=True)
    step_bytes = Amount("Bytes moved from and to GPU memory in one step.", low=0, high=1e21, required=True)
    resident_gb = Amount("Memory that must be resident on all GPUs together.", low=0, high=1e9, required=True)
    steps = Amount("Steps.", low=1, high=1e15, required=True)
    halo_bytes = Amount("Bytes that each GPU exchanges in one step.", low=0, high=1e15, load_default=0.0)
    target = _target()

    @validates_schema(skip_on_field_errors=True)
    def _some_work(self, data: dict[str, Any], **_: Any) -> None:
        if not data["step_flop"] and not data["step_bytes"]:
            raise ValidationError({"step_flop": [Issue("step_flop and step_bytes are both 0.", limit="one above 0")]})


class LatticeSchema(ScienceSchema):
    """A lattice code."""

    record = LatticeWorkload

    cells = Amount("Cells of the grid.", low=1, high=1e15, required=True)
    steps = Amount("Time steps.", low=1, high=1e15, required=True)
    method = Text("Number format of the distributions, as the application lists it.", longest=40, **_OPTIONAL)
    target = _target()


class SequenceTrainingSchema(ScienceSchema):
    """Training a protein or genomic language model."""

    record = SequenceTrainingWorkload

    parameters = Amount("Parameters of the model.", low=1e6, high=1e13, required=True)
    tokens = Amount("Unpadded tokens to train on.", low=1e6, high=1e16, required=True)
    precision = Choice("Number format of the matrix products.", _TRAINING_PRECISIONS, load_default=Precision.BF16)
    packed = Flag("Whether sequences are packed instead of padded.", load_default=True)
    context_tokens = Count(
        "Tokens of one sequence; null is what the application is published with.", low=16, high=4_194_304, **_OPTIONAL
    )
    target = _target()


class RecipeTrainingSchema(ScienceSchema):
    """One training by a published recipe to its target."""

    record = RecipeTrainingWorkload

    target = _target()


SCIENCE_SCHEMAS: dict[str, type[Schema]] = {
    Template.FOLDING: FoldingSchema,
    Template.MD: MdSchema,
    Template.GENOMICS: GenomicsSchema,
    Template.WEATHER: WeatherSchema,
    Template.DOCKING: DockingSchema,
    Template.DESIGN: DesignSchema,
    Template.ROOFLINE: RooflineSchema,
    Template.LATTICE: LatticeSchema,
    Template.SEQUENCE_TRAINING: SequenceTrainingSchema,
    Template.RECIPE_TRAINING: RecipeTrainingSchema,
}
"""By template."""

DEMAND_FIELDS: dict[str, str] = {
    Template.FOLDING: "targets_day",
    Template.MD: "ns_day",
    Template.GENOMICS: "genomes_day",
    Template.WEATHER: "forecasts_day",
    Template.DOCKING: "ligands_day",
    Template.DESIGN: "designs_day",
    Template.ROOFLINE: "target",
    Template.LATTICE: "target",
    Template.SEQUENCE_TRAINING: "target",
    Template.RECIPE_TRAINING: "target",
}
"""The field that says how much is asked: required in a sizing, refused in an estimate."""

_WHY_REFUSED = "An estimate has no demand or target: it tells what the given hardware does."


def _without_demand(template: str, schema: type[Schema]) -> type[Schema]:
    demand = DEMAND_FIELDS[template]

    class EstimateSchema(schema):  # type: ignore[misc, valid-type]
        refused = {demand: _WHY_REFUSED}  # noqa: RUF012

        class Meta:
            exclude = (demand,)

    EstimateSchema.__name__ = f"{schema.__name__.removesuffix('Schema')}EstimateSchema"
    EstimateSchema.__doc__ = f"{(schema.__doc__ or '').rstrip('.')}, on fixed hardware."
    return EstimateSchema


SCIENCE_ESTIMATE_SCHEMAS: dict[str, type[Schema]] = {
    template: _without_demand(template, schema) for template, schema in SCIENCE_SCHEMAS.items()
}
"""By template; without the demand."""
