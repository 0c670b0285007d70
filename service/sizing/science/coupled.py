"""Coupled jobs that take all GPUs together until a deadline: roofline HPC, lattice codes, sequence-model training."""

import math

from service.errors import FieldError, InvalidRequestError, UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.result import Assumed
from service.sizing.science.application import Application
from service.sizing.science.job import Arithmetic, Job
from service.sizing.science.rate import point_size
from service.sizing.science.sequence_model import SequenceModel
from service.sizing.science.streams import chosen_variant
from service.sizing.science.trained import training_job
from service.sizing.science.workload import (
    DeadlineTarget,
    LatticeWorkload,
    RecipeTrainingWorkload,
    RooflineWorkload,
    SequenceTrainingWorkload,
)
from service.sizing.spoken import spoken
from service.sizing.training.job import Job as TrainingJob
from service.sizing.units import GB

_PADDING = "science.padding_time_factor"
_PADDING_LN_ARM = "science.padding_ln_arm"


def _demand_day(target: DeadlineTarget | None) -> float | None:
    """Jobs per day: one within the deadline."""
    return None if target is None else 1.0 / target.deadline_days


def roofline_job(workload: RooflineWorkload, application: Application, calibration: Calibration) -> Job:
    """The whole run is one item; its time comes from arithmetic, memory traffic and the halo, not from a curve."""
    variant = application.variant(workload.precision) if application.variants else None
    if application.variants and variant is None:
        message = f"{application.id} was not measured in {workload.precision}"
        raise InvalidRequestError(message, errors=(FieldError(field="workload.precision", message=message),))
    return Job(
        application=application,
        metric="runs_day",
        demand_field="workload.target.deadline_days",
        demand_day=_demand_day(workload.target),
        units_item=1.0,
        variant=variant,
        coupled=True,
        memory_bytes=workload.resident_gb * GB,
        memory_sharded=True,
        memory_usable_fraction=calibration.assumption("science.memory_usable_fraction"),
        arithmetic=Arithmetic(
            precision=workload.precision,
            step_flop=workload.step_flop,
            step_bytes=workload.step_bytes,
            halo_bytes=workload.halo_bytes,
            steps=workload.steps,
        ),
        assumed=()
        if workload.halo_bytes
        else (Assumed(field="workload.halo_bytes", value="0", why="not given: no exchange between GPUs is counted"),),
    )


def lattice_job(workload: LatticeWorkload, application: Application, calibration: Calibration) -> Job:
    """The whole run is one item of cells x steps updates; a curve gives seconds per cell update."""
    variant = chosen_variant(application, workload.method, "workload.method")
    law = application.memory
    bytes_cell = 0.0 if law is None else law.size_bytes * variant.memory_factor
    return Job(
        application=application,
        metric="runs_day",
        demand_field="workload.target.deadline_days",
        demand_day=_demand_day(workload.target),
        units_item=workload.cells * workload.steps,
        curve_variant=variant.curve_variant,
        variant=variant,
        time_factor=variant.time_factor,
        ln_arm=variant.ln_arm,
        coupled=True,
        memory_bytes=bytes_cell * workload.cells,
        memory_sharded=True,
        memory_usable_fraction=calibration.assumption("science.memory_usable_fraction"),
    )


def sequence_job(workload: SequenceTrainingWorkload, application: Application, calibration: Calibration) -> Job:
    """The whole training is one item that the training engine times; a curve corrects it by what was measured.

    Source: method notes, section 2 (unpadded tokens); what padding costs is fitted.
    """
    variant = chosen_variant(application, workload.precision, "workload.precision")
    padding = 1.0 if workload.packed else calibration.coefficient(_PADDING)
    model = application.sequence_model
    if model is None:
        raise UnsupportedWorkloadError(f"{application.id} has no layer list in config/science")
    training = training_job(workload, model, id_=application.id, calibration=calibration)
    return Job(
        application=application,
        metric="runs_day",
        demand_field="workload.target.deadline_days",
        demand_day=_demand_day(workload.target),
        # Parameters asked for over those of the nearest layer list.
        units_item=workload.parameters / training.shape.total_params,
        size=point_size(workload.parameters),
        curve_variant=variant.curve_variant,
        variant=variant,
        time_factor=variant.time_factor * padding,
        ln_arm=variant.ln_arm
        if workload.packed
        else math.hypot(variant.ln_arm, calibration.coefficient(_PADDING_LN_ARM)),
        coupled=True,
        training=training,
        assumed=_sequence_assumed(workload, model, training, padding=padding),
    )


def _sequence_assumed(
    workload: SequenceTrainingWorkload, model: SequenceModel, training: TrainingJob, *, padding: float
) -> tuple[Assumed, ...]:
    """The network and the length that were taken, and what padding costs."""
    architecture, context = training.architecture, training.workload.seq_len_tokens
    found = [
        Assumed(
            field="workload.parameters",
            value=f"{architecture.layers} layers of width {architecture.hidden:,}",
            why=f"the network of {spoken(workload.parameters)} parameters, published or between published sizes",
            source=model.source,
        ),
        Assumed(
            field="workload.global_batch_sequences",
            value=f"{training.batch_sequences:,}",
            why=f"about {spoken(model.batch_tokens)} tokens of a step; the nearest count that the GPUs divide is taken",
            source=model.source,
        ),
    ]
    if workload.context_tokens is None:
        why = "not given: as the application is published"
        found.append(Assumed(field="workload.context_tokens", value=f"{context:,}", why=why, source=model.source))
    elif context > model.most_context_tokens:
        why = f"longer than the {model.most_context_tokens:,} tokens that were published of this model"
        found.append(Assumed(field="workload.context_tokens", value=f"{context:,}", why=why, source=model.source))
    if not workload.packed:
        found.append(
            Assumed(
                field=_PADDING,
                value=f"{spoken(padding)} times",
                why="sequences are padded, not packed: the time of packed ones times this",
                source="config/calibration/science.yaml",
            )
        )
    return tuple(found)


def recipe_job(workload: RecipeTrainingWorkload, application: Application, calibration: Calibration) -> Job:
    """The whole training is one item; a curve gives its seconds on one GPU, what does not split stays (MLPerf HPC)."""
    del calibration
    variant = chosen_variant(application, None, "workload.application")
    law = application.memory
    return Job(
        application=application,
        metric="runs_day",
        demand_field="workload.target.deadline_days",
        demand_day=_demand_day(workload.target),
        units_item=1.0,
        curve_variant=variant.curve_variant,
        variant=variant,
        coupled=True,
        memory_bytes=0.0 if law is None else law.base_gb * GB,
    )
