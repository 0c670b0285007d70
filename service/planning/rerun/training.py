"""A trained model, as published -> the engine's workload and deployment, and the metrics that people publish."""

import math
from collections.abc import Mapping
from dataclasses import replace

from service.catalog.catalog import Catalog
from service.catalog.resolve import resolve_deployment, resolve_workload
from service.errors import UnknownReferenceError
from service.planning.rerun import stack, unpublished
from service.planning.rerun.legal import evaluate
from service.planning.rerun.open_choices import with_choices
from service.planning.rerun.publication import month_of
from service.planning.rerun.race import race_of
from service.planning.rerun.run import Evaluated, Rerun, spread_too, times, together
from service.planning.rerun.target import reference_targets
from service.planning.rerun.unknown import architecture_of_size, is_unlisted
from service.schemas.measured import FlopConvention, MeasuredTraining
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.interval import Metric
from service.sizing.training.coefficients import software_years
from service.sizing.units import HOUR_S, MINUTE_S, TFLOP_S
from service.sizing.workload import (
    Deployment,
    Method,
    Optimizer,
    Recompute,
    Sharding,
    TrainingTarget,
    TrainingWorkload,
)

_DEGREES = ("tp", "pp", "vpp", "cp", "ep", "dp", "micro_batch", "sharding", "recompute")
_CHOSEN_FIT = "training.memory_confidence_fraction"
_DAY_MIN = 24.0 * HOUR_S / MINUTE_S
_ITERATIONS = 1000.0
# What the peak of memory of tuning rests on where nobody states a layout, and what is taken.
_OF_A_PEAK = frozenset({"peak_memory_gb"})
_TOOLS_CHOOSE = (("deployment.recompute", "full"), ("deployment.sharding", "chosen"), ("workload.optimizer", "chosen"))
# Metrics that go with the step and those that go with its inverse.
_GROW = frozenset({"step_time_s", "time_to_train_days", "run_gpu_h"})
_SHRINK = frozenset({"tokens_s", "tokens_s_gpu", "model_tflops_gpu"})
_LIGHTER_OPTIMIZERS = (Optimizer.ADAMW_8BIT, Optimizer.ADAMW_8BIT_PAGED, Optimizer.ADAMW_HOST)
# Of 8-bit moments bitsandbytes, which brings them, has no shards of PyTorch's FSDP.
_SHARDED_PLAINLY = (Optimizer.ADAMW_HOST,)
_GPU_HOURS, _LENGTH = "gpu_hours", "workload.samples_to_target"
_TIME = frozenset({"time_to_train_min"})


def evaluate_training(catalog: Catalog, run: MeasuredTraining) -> Evaluated:
    """The engine's answer for a trained model.

    Not published: lengths as config/assumptions.yaml says, BF16, a batch of one micro-batch on every rank, degrees that
    the engine chooses, the fewest GPUs that hold it. Raises PlannerError.
    """
    catalog = _as_tried(catalog)
    ran, curves = _as_it_ran(catalog, run), catalog.calibration.curves
    return with_choices(run, ran, curves=curves, evaluate=lambda rerun: _paced(catalog, rerun, run))


def _as_it_ran(catalog: Catalog, run: MeasuredTraining) -> Evaluated:
    rerun = _rerun(catalog, run)
    if rerun.deployment.gpus > 0:
        return _evaluated(catalog, _batched(rerun, run), run)
    for gpus in unpublished.fleets(rerun.deployment):
        tried = replace(rerun, deployment=replace(rerun.deployment, gpus=gpus)).with_default("deployment.gpus", gpus)
        evaluated = _evaluated(catalog, _batched(tried, run), run)
        if evaluated.estimate.fits:
            break
    return evaluated


def _as_tried(catalog: Catalog) -> Catalog:
    """Who really ran a training had tried whether it fits: its open degrees leave no more room than stated ones."""
    known = catalog.calibration.assumptions
    fraction = known["training.stated_memory_confidence_fraction"].value
    tried = replace(known[_CHOSEN_FIT], value=fraction)
    calibration = replace(catalog.calibration, assumptions={**known, _CHOSEN_FIT: tried})
    return replace(catalog, calibration=calibration)


def _evaluated(catalog: Catalog, rerun: Rerun, run: MeasuredTraining) -> Evaluated:
    """The engine's answer; data ranks that are said to shard nothing shard what must be for it to fit.

    Tables of stacks whose optimizer is always distributed say `none` of what goes beyond it.
    """
    evaluated = _recomputed(catalog, _paced(catalog, rerun, run), run)
    if unpublished.is_unsplit(run):
        return _with_optimizer_that_fits(catalog, evaluated, run)
    stated = run.deployment.sharding not in {None, Sharding.NONE}
    if stated or unpublished.shards_plainly(run):
        return evaluated
    for sharding in (Sharding.ZERO1, Sharding.ZERO3):
        if evaluated.estimate.fits:
            break
        sharded = replace(rerun, deployment=replace(rerun.deployment, sharding=sharding))
        told = sharded.with_default("deployment.sharding", f"{sharding} so that it fits", widens=False)
        evaluated = _paced(catalog, told, run)
    return evaluated


def _recomputed(catalog: Catalog, evaluated: Evaluated, run: MeasuredTraining) -> Evaluated:
    """Stored activations that cannot have been: what is said to make nothing again makes again what must be.

    Of weights, gradients and states that do not fit nothing is changed by it.
    """
    if evaluated.estimate.fits or run.deployment.recompute is not Recompute.NONE:
        return evaluated
    deployment = replace(evaluated.rerun.deployment, recompute=Recompute.FULL)
    again = replace(evaluated.rerun, deployment=deployment)
    told = again.with_default("deployment.recompute", f"{Recompute.FULL} so that it fits", widens=False)
    found = _paced(catalog, told, run)
    return found if found.estimate.fits else evaluated


def _with_optimizer_that_fits(catalog: Catalog, evaluated: Evaluated, run: MeasuredTraining) -> Evaluated:
    """Tuning on given GPUs without a word on its layout takes the heaviest optimizer that leaves room, as its tools do.

    Layers as frameworks bring them are BF16 as their checkpoint is, and their optimizer has no master copy of them.
    """
    rerun = evaluated.rerun
    workload = rerun.workload
    assert isinstance(workload, TrainingWorkload)
    tried = []
    for optimizer in _optimizers(rerun.deployment):
        if optimizer is workload.optimizer:
            found = evaluated
        else:
            other = replace(rerun, workload=replace(workload, optimizer=optimizer))
            found = _paced(catalog, other.with_default("workload.optimizer", optimizer), run)
        if _leaves_room(found, catalog.calibration):
            return found
        tried.append(found)
    return next((found for found in tried if found.estimate.fits), tried[-1])


def _optimizers(deployment: Deployment) -> tuple[Optimizer, ...]:
    """What tools that tune offer, heaviest first."""
    if not deployment.plain_stack:
        return (Optimizer.AUTO, Optimizer.ADAMW_BF16, *_LIGHTER_OPTIMIZERS)
    return (Optimizer.ADAMW_PURE_BF16, *(_SHARDED_PLAINLY if deployment.gpus > 1 else _LIGHTER_OPTIMIZERS))


def _leaves_room(evaluated: Evaluated, calibration: Calibration) -> bool:
    """Whether nine of ten measured peaks around this one would fit too: tools settle on what works for most."""
    band = calibration.residual("training.peak_memory_gb")
    found = evaluated.estimate
    return found.memory_used_gb_gpu * math.exp(band.q90) <= found.memory_usable_gb_gpu


def _paced(catalog: Catalog, rerun: Rerun, run: MeasuredTraining) -> Evaluated:
    """Typical sequences set the pace, the longest the peak of memory and whether it fits."""
    workload = rerun.workload
    assert isinstance(workload, TrainingWorkload)
    assert rerun.architecture is not None
    typical, longest = unpublished.lengths(run, workload.method, rerun.architecture, catalog.calibration)
    evaluated = evaluate(catalog, rerun)
    factor, stops = race_of(run, evaluated, catalog.calibration)
    length = unpublished.length_spread(run, rerun.architecture, catalog.calibration, method=workload.method)
    evaluated = replace(evaluated, whole_run_factor=factor, length=together(length, stops))
    if reference_targets(run, rerun.architecture, catalog.calibration):
        evaluated = _with_whole_training(catalog, evaluated)
    if typical == longest:
        return evaluated
    peak = evaluate(catalog, replace(evaluated.rerun, workload=replace(workload, seq_len_tokens=longest)))
    return replace(evaluated, estimate=peak.estimate, pace=evaluated.estimate)


def _with_whole_training(catalog: Catalog, evaluated: Evaluated) -> Evaluated:
    """GPU hours are published of whole trainings, times of races: both of the same model, and neither says which."""
    workload, architecture = evaluated.rerun.workload, evaluated.rerun.architecture
    assert isinstance(workload, TrainingWorkload)
    assert architecture is not None
    method, calibration = workload.method, catalog.calibration
    usual = unpublished.usual_tokens(architecture, calibration, method=method, length=workload.seq_len_tokens)
    spread = unpublished.usual_spread(architecture, calibration, method=method)
    rerun = evaluated.rerun.with_default(
        _LENGTH, f"{usual / workload.seq_len_tokens:.4g}", of=frozenset({_GPU_HOURS}), widens=False
    )
    return replace(evaluated, rerun=rerun, training_factor=usual / workload.tokens, training_length=spread)


def training_metrics(run: MeasuredTraining, evaluated: Evaluated) -> Mapping[str, Metric]:
    """Every metric that the engine can give of a trained model, by the name that it is published under."""
    found, rerun = _with_open_pace(evaluated), evaluated.rerun
    workload = rerun.workload
    assert isinstance(workload, TrainingWorkload)
    assert rerun.architecture is not None
    accumulation = run.deployment.gradient_accumulation or 1
    step, whole = found["step_time_s"], evaluated.whole_run_factor
    return {
        "tokens_s_gpu": found["tokens_s_gpu"],
        "tokens_s": found["tokens_s"],
        "samples_s": times(found["tokens_s"], 1.0 / workload.seq_len_tokens),
        "step_time_s": step,
        # Frameworks that print it count micro-batches.
        "time_per_1000_iterations_min": times(step, _ITERATIONS / accumulation / MINUTE_S),
        "time_to_train_min": times(spread_too(found["time_to_train_days"], evaluated.length), _DAY_MIN * whole),
        _GPU_HOURS: _gpu_hours(found["run_gpu_h"], evaluated),
        "peak_memory_gb": _peak(run, evaluated),
        "model_tflops_gpu": _tflops(run.flop_convention, found, rerun.architecture, workload.seq_len_tokens),
    }


def _gpu_hours(metric: Metric, evaluated: Evaluated) -> Metric:
    if evaluated.training_factor is None:
        return times(spread_too(metric, evaluated.length), evaluated.whole_run_factor)
    return times(spread_too(metric, evaluated.training_length), evaluated.training_factor)


def _with_open_pace(evaluated: Evaluated) -> Mapping[str, Metric]:
    """The engine's metrics, those that go with the step and its inverse wider by what choices are open."""
    slower, faster = evaluated.open_pace, evaluated.open_pace.inverted()
    return {
        name: spread_too(metric, slower if name in _GROW else faster) if name in _GROW | _SHRINK else metric
        for name, metric in evaluated.metrics.items()
    }


def _peak(run: MeasuredTraining, evaluated: Evaluated) -> Metric:
    """What the statistic counts; the allocator's own peak of tensors where nobody says, as frameworks print it."""
    name = "reserved_memory_gb" if run.memory_statistic == "reserved" else "allocated_memory_gb"
    return spread_too({metric.name: metric for metric in evaluated.estimate.metrics}[name], evaluated.open_peak)


def _tflops(
    convention: FlopConvention | None, found: Mapping[str, Metric], architecture: ModelArchitecture, seq_len: int
) -> Metric:
    """The engine counts causal attention by half; who counts the whole square, or the recomputed pass, adds it."""
    plain = found["model_tflops_gpu"]
    if convention is None or convention is FlopConvention.CAUSAL_HALVED:
        return plain
    # Of an encoder, whose attention sees both ways, the engine counts the whole square already.
    # Scores and their sum over values, forward and twice backward: the half that causality leaves out.
    width = sum(m.count * m.heads * (m.head_dim + (m.v_head_dim or m.head_dim)) for m in architecture.mixers)
    rate, half = found["tokens_s_gpu"].interval.p50, 3.0 * width * seq_len
    factor = 1.0 if architecture.encoder else 1.0 + rate * half / TFLOP_S / plain.interval.p50
    if convention is FlopConvention.FULL_ATTENTION_WITH_RECOMPUTE:
        factor *= 4.0 / 3.0
    return times(plain, factor)


def _rerun(catalog: Catalog, run: MeasuredTraining) -> Rerun:
    said, calibration = run.workload, catalog.calibration
    method = said.method or Method.PRETRAIN
    deployment = resolve_deployment(catalog, _deployment(run, catalog))
    workload = TrainingWorkload(
        model=said.model or "",
        method=method,
        tokens=1.0,
        target=TrainingTarget(),
        precision=unpublished.precision(catalog, run, deployment.gpu, plain_stack=deployment.plain_stack),
        precision_recipe=unpublished.recipe(run),
        global_batch_sequences=said.global_batch_sequences or 1,
        # Measured runs force balance.
        expert_imbalance_factor=1.0,
        lora_targets=unpublished.lora_targets(run),
    )
    resolved, architecture = _resolved(catalog, workload, run)
    length, _ = unpublished.lengths(run, method, architecture, calibration)
    tokens = unpublished.tokens(run, architecture, calibration, method=method, length=length)
    sequences = unpublished.rollouts(run, architecture)
    resolved = replace(resolved, seq_len_tokens=length, tokens=tokens, global_batch_sequences=sequences)
    rerun = Rerun(workload=resolved, deployment=deployment, architecture=architecture)
    return _told(catalog, rerun, run)


def _resolved(
    catalog: Catalog, workload: TrainingWorkload, run: MeasuredTraining
) -> tuple[TrainingWorkload, ModelArchitecture]:
    """The workload with its model as the catalog lists it, or one of its size where it lists none."""
    try:
        resolved, architecture, _ = resolve_workload(catalog, workload)
    except UnknownReferenceError:
        if run.workload.params_b is None or not is_unlisted(run):
            raise
        return workload, architecture_of_size(run.workload.model or "unnamed", run.workload.params_b)
    assert isinstance(resolved, TrainingWorkload)
    assert architecture is not None
    return resolved, architecture


def _released(catalog: Catalog, model: str | None) -> str | None:
    """When the model of a run came out, if that is known."""
    found = catalog.models.get(catalog.aliases.get(model or "", model or ""))
    return None if found is None else found.released


def _deployment(run: MeasuredTraining, catalog: Catalog) -> Deployment:
    said = run.deployment
    gpus = said.gpus or 0
    if not gpus and said.dp is not None:
        gpus = (said.tp or 1) * (said.pp or 1) * (said.cp or 1) * said.dp
    degrees = {name: getattr(said, name) for name in _DEGREES}
    derived = {
        "dp": unpublished.data_ranks(run),
        "micro_batch": unpublished.micro_batch(run),
        "recompute": unpublished.recompute(run),
        "sharding": unpublished.sharding(run),
    } | ({"tp": said.tp or 1, "pp": said.pp or 1} if _is_whole(run) else {})
    month = month_of(run.published, _released(catalog, run.workload.model))
    return Deployment(
        gpu=said.gpu or "",
        gpus=gpus,
        **(degrees | derived),
        loads_whole=unpublished.shards_plainly(run),
        plain_stack=stack.is_plain_stack(run),
        vendor_kernels=stack.has_vendor_kernels(run),
        chunked_loss=stack.chunks_loss(run, software_years(catalog.calibration, month)),
        software_month=month,
    )


def _is_whole(run: MeasuredTraining) -> bool:
    """Whether nothing of a run says that its model is split."""
    return unpublished.is_plain(run) or unpublished.only_shards(run) or unpublished.tunes_by_default(run)


def _batched(rerun: Rerun, run: MeasuredTraining) -> Rerun:
    """The global batch, from what is known of its parts where it was not published.

    A batch of fewer sequences than there are data ranks is that of each of them, where nothing says that ranks share.
    """
    said, gpus = run.deployment, rerun.deployment.gpus
    ranks = said.dp or max(1, gpus // ((said.tp or 1) * (said.pp or 1) * (said.cp or 1)))
    stated = run.workload.global_batch_sequences
    if stated is not None and (stated >= ranks or not _is_whole(run)):
        return rerun
    own = (said.micro_batch or 1) if stated is None else stated
    batch = ranks * own * (said.gradient_accumulation or 1)
    assert isinstance(rerun.workload, TrainingWorkload)
    changed = replace(rerun, workload=replace(rerun.workload, global_batch_sequences=batch))
    return changed.with_default("workload.global_batch_sequences", batch)


def _told(catalog: Catalog, rerun: Rerun, run: MeasuredTraining) -> Rerun:
    workload = rerun.workload
    assert isinstance(workload, TrainingWorkload)
    assert isinstance(workload.model, str)
    architecture = rerun.architecture
    assert architecture is not None
    if architecture.id not in catalog.models:
        rerun = rerun.with_default("workload.model", f"dense, {run.workload.params_b:g} billion parameters")
    for name in ("method", "precision", "seq_len_tokens"):
        if getattr(run.workload, name) is None:
            rerun = rerun.with_default(f"workload.{name}", getattr(workload, name))
    if run.workload.samples_to_target is None:
        sequences = workload.tokens / workload.seq_len_tokens
        # The bounds of what is taken widen the interval; nothing is stretched for it once more.
        races = reference_targets(run, architecture, catalog.calibration)
        of = _TIME if races else _TIME | {_GPU_HOURS}
        rerun = rerun.with_default(_LENGTH, f"{sequences:.4g}", of=of, widens=False)
    if run.flop_convention is None:
        rerun = rerun.with_default("flop_convention", FlopConvention.CAUSAL_HALVED, of=frozenset({"model_tflops_gpu"}))
    if unpublished.tunes_by_default(run):
        for name, value in _TOOLS_CHOOSE:
            # What else they may choose is tried instead.
            rerun = rerun.with_default(name, value, of=_OF_A_PEAK, widens=False)
    open_degrees = [name for name in _DEGREES if getattr(run.deployment, name) is None]
    if open_degrees:
        # One word: hardly any run states all of them, and what is open the engine chooses.
        rerun = rerun.with_default("deployment", f"{' '.join(open_degrees)} chosen", widens=False)
    return rerun
