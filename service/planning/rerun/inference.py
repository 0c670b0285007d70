"""A served model, as published -> the engine's workload and deployment, and the metrics that people publish."""

from collections.abc import Mapping
from dataclasses import replace

from service.catalog.catalog import Catalog
from service.catalog.resolve import resolve_deployment, resolve_workload
from service.planning.rerun.legal import evaluate
from service.planning.rerun.publication import is_compiled, software_month
from service.planning.rerun.run import Evaluated, Rerun, times
from service.schemas.measured import MeasuredInference, PublishedPool, PublishedServing, Speculation
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration, Release
from service.sizing.inference.pools import MOST_WEIGHTS_FRACTION
from service.sizing.interval import Metric
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.workload import (
    Arrival,
    Demand,
    Deployment,
    InferenceWorkload,
    Load,
    LoadKind,
    Pool,
    Serving,
    Slo,
    SpeculativeDecoding,
    TokenLength,
)

# How many GPUs one instance may take where nobody said: a server, then whole racks.
_INSTANCE_GPUS = (1, 2, 4, 8, 16, 32, 64, 72)
_BOUNDS = ("ttft_ms", "tpot_ms")
_SERVER_GPUS = 8
# Lengths that somebody chose: multiples of either.
_ROUND_TOKENS = (64, 100)
# How often decode instances are doubled where nobody said how many there were.
_POOL_CHANGES = 8
# Prefill instances to a decode instance before which no prompt waits.
_AMPLE_PREFILL = 16


def evaluate_inference(catalog: Catalog, run: MeasuredInference) -> Evaluated:
    """The engine's answer for a served model.

    Not published: the lengths, the speculation of `likely` and `true` as config/assumptions.yaml says; precisions and
    layout the engine chooses; a load is saturated; GPUs make one instance, the smallest that fits. Raises PlannerError.
    """
    rerun = _rerun(catalog, run)
    if rerun.deployment.gpus == 0:
        return _smallest_instance(catalog, rerun)
    evaluated = evaluate(catalog, rerun)
    if rerun.deployment.mode is not Serving.DISAGGREGATED:
        return evaluated
    if run.deployment.gpus is None:
        evaluated = _enough_pools(catalog, rerun, evaluated)
    if evaluated.estimate.fits:
        return evaluated
    # Tables of pools write 1 where an instance spans several hosts: what cannot hold the model was not its layout.
    return evaluate(catalog, _without_pools(rerun))


def inference_metrics(evaluated: Evaluated) -> Mapping[str, Metric]:
    """Every metric that a served model is published with, by name."""
    found, rerun = evaluated.metrics, evaluated.rerun
    workload, gpus = rerun.workload, rerun.deployment.gpus
    assert isinstance(workload, InferenceWorkload)
    isl, osl = workload.isl_tokens.mean, workload.osl_tokens.mean
    decode, prefill = (
        gpus if plan is None else plan.instances * plan.tp * plan.pp * plan.attention_dp
        for plan in (evaluated.estimate.decode, evaluated.estimate.prefill)
    )
    output = found["output_tokens_s"]
    total = times(output, (isl + osl) / osl)
    return {
        "output_tokens_s": output,
        "total_tokens_s": total,
        "output_tokens_s_gpu": times(output, 1.0 / gpus),
        "total_tokens_s_gpu": times(total, 1.0 / gpus),
        "output_tokens_s_decode_gpu": times(output, 1.0 / decode),
        "decode_tokens_s_gpu": times(output, 1.0 / decode),
        "prefill_tokens_s_gpu": times(output, isl / osl / prefill),
        **{name: found[name] for name in ("tokens_s_user", "ttft_ms", "tpot_ms")},
    }


def _rerun(catalog: Catalog, run: MeasuredInference) -> Rerun:
    asked, calibration = run.workload, catalog.calibration
    workload = InferenceWorkload(
        model=asked.model or "",
        isl_tokens=TokenLength(mean=asked.isl_tokens or calibration.assumption("evidence.isl_tokens")),
        osl_tokens=TokenLength(mean=asked.osl_tokens or calibration.assumption("evidence.osl_tokens")),
        demand=Demand(),
        weight_precision=asked.weight_precision or Precision.AUTO,
        kv_precision=asked.kv_precision or Precision.AUTO,
        slo=_slo(run),
    )
    resolved, architecture, _ = resolve_workload(catalog, workload)
    assert isinstance(resolved, InferenceWorkload)
    resolved = replace(resolved, speculative_decoding=_speculation(run, architecture, calibration))
    deployment = resolve_deployment(catalog, _deployment(run, calibration.releases))
    rerun = Rerun(workload=resolved, deployment=deployment, architecture=architecture)
    told = _corrected(_told(rerun, run), run)
    pools = [pool for pool in (run.deployment.prefill, run.deployment.decode) if pool is not None]
    beyond = run.deployment.gpus is not None and sum(_gpus_of(pool) for pool in pools) > run.deployment.gpus
    return _without_pools(told) if beyond else told


def _corrected(rerun: Rerun, run: MeasuredInference) -> Rerun:
    """Degrees that tables are known to hold otherwise than they ran.

    Throughput tables of mixture-of-experts models say the GPUs as tp and ran attention data-parallel over them. And
    where ep and moe_tp are both said to be n, with n x n GPUs beyond one server, the n GPUs were counted twice.
    """
    was, said = rerun.deployment, run.deployment
    if rerun.architecture is None or not any(ffn.experts for ffn in rerun.architecture.ffns):
        return rerun
    saturated = was.load is not None and was.load.kind is LoadKind.SATURATED
    if said.attention_dp_unknown and saturated and (was.tp or 1) > 1:
        apart = replace(was, tp=1, attention_dp=was.tp, ep=None, moe_tp=None)
        return replace(rerun, deployment=apart).with_default("deployment.attention_dp", was.tp, widens=False)
    within = was.attention_dp or 1
    if within > 1 and was.tp == was.gpus and was.tp % within == 0:
        inside = replace(was, tp=was.tp // within)
        return replace(rerun, deployment=inside).with_default("deployment.tp", inside.tp, widens=False)
    ranks = (was.tp or 1) * within
    if was.ep is not None and was.ep == was.moe_tp and was.ep**2 == ranks > _SERVER_GPUS:
        once = replace(
            was,
            gpus=was.ep,
            tp=was.ep if (was.tp or 1) > 1 else 1,
            attention_dp=was.ep if (was.attention_dp or 1) > 1 else 1,
            moe_tp=None,
        )
        return replace(rerun, deployment=once).with_default("deployment.gpus", f"{was.ep}, counted once", widens=False)
    return rerun


def _without_pools(rerun: Rerun) -> Rerun:
    """The layout of the pools left to the engine: as published they cannot have been."""
    was = rerun.deployment
    opened = replace(was, tp=None, pp=None, ep=None, moe_tp=None, attention_dp=None, prefill=None, decode=None)
    return replace(rerun, deployment=opened).with_default("deployment.decode", f"open instead of tp {was.tp}")


def _deployment(run: MeasuredInference, releases: Mapping[tuple[str, str], Release]) -> Deployment:
    """The deployment as published; `gpus` 0 where neither they nor the degrees of an instance are known."""
    said = run.deployment
    layout: PublishedServing | PublishedPool = said
    # One layout for both pools, until they are evaluated apart: that of the pool that makes the output.
    if said.tp is None and said.decode is not None:
        layout = said.decode
    return Deployment(
        gpu=said.gpu or "",
        gpus=said.gpus or _instance_gpus(said),
        tp=layout.tp,
        pp=said.pp,
        ep=layout.ep,
        moe_tp=layout.moe_tp,
        attention_dp=layout.attention_dp,
        mode=said.mode or Serving.AGGREGATED,
        engine=said.engine,
        software_month=software_month(said.software, run.published, releases),
        compiled=is_compiled(said.software),
        prefill=_pool(said.prefill),
        decode=_pool(said.decode),
        load=_load(run),
    )


def _instance_gpus(said: PublishedServing) -> int:
    """One instance of each pool, or one of the only layout; 0 where no degree was published."""
    pools = [pool for pool in (said.prefill, said.decode) if pool is not None]
    if pools:
        return sum(_gpus_of(pool) for pool in pools)
    degrees = (said.tp, said.pp, said.attention_dp)
    if all(degree is None for degree in degrees):
        return 0
    return (said.tp or 1) * (said.pp or 1) * (said.attention_dp or 1)


def _gpus_of(pool: PublishedPool) -> int:
    each = pool.gpus_per_instance or (pool.tp or 1) * (pool.attention_dp or 1)
    return pool.gpus or (pool.instances or 1) * each


def _pool(said: PublishedPool | None) -> Pool | None:
    if said is None:
        return None
    return Pool(
        instances=said.instances,
        tp=said.tp,
        ep=said.ep,
        attention_dp=said.attention_dp,
        gpus=said.gpus or (_gpus_of(said) if said.instances else None),
    )


def _load(run: MeasuredInference) -> Load:
    said = run.deployment.load
    if said is None:
        return Load()
    # So many requests and no word on how they came are so many in flight.
    kind = said.kind or LoadKind.CONCURRENCY
    if kind is not LoadKind.CONCURRENCY:
        return Load(kind=kind, alike=kind is LoadKind.SATURATED and _alike(run))
    if said.value is None:
        return Load()
    return Load(kind=kind, value=said.value, arrival=said.arrival or Arrival.STEADY, alike=_alike(run))


def _alike(run: MeasuredInference) -> bool:
    """Whether all requests had the lengths that were published: means of lengths that differ are no round numbers."""
    lengths = (run.workload.isl_tokens, run.workload.osl_tokens)
    return all(length is not None and any(length % unit == 0 for unit in _ROUND_TOKENS) for length in lengths)


def _slo(run: MeasuredInference) -> Slo | None:
    said = run.workload.slo
    if said is None or all(getattr(said, name) is None for name in _BOUNDS):
        return None
    bounds = Slo(ttft_ms=said.ttft_ms, tpot_ms=said.tpot_ms)
    return bounds if said.percentile is None else replace(bounds, percentile=said.percentile)


def _speculation(
    run: MeasuredInference, architecture: ModelArchitecture | None, calibration: Calibration
) -> SpeculativeDecoding | None:
    """What is known to be drafted, as the assumptions say; pools of a model that drafts for itself may do so unsaid."""
    said = run.workload.speculative_decoding
    if said in {Speculation.YES, Speculation.LIKELY}:
        return SpeculativeDecoding(
            draft_tokens=round(calibration.assumption("inference.speculative_draft_tokens")),
            acceptance_fraction=calibration.assumption("inference.speculative_acceptance_fraction"),
        )
    pooled = run.deployment.mode is Serving.DISAGGREGATED
    if said is Speculation.UNKNOWN and pooled and architecture is not None and architecture.mtp_layers:
        return SpeculativeDecoding(
            draft_tokens=1, acceptance_fraction=calibration.assumption("evidence.unsaid_acceptance_fraction")
        )
    return None


def _told(rerun: Rerun, run: MeasuredInference) -> Rerun:
    """The rerun with a word for everything that was not published."""
    workload, deployment, said = rerun.workload, rerun.deployment, run.deployment
    assert isinstance(workload, InferenceWorkload)
    if run.workload.isl_tokens is None:
        rerun = rerun.with_default("workload.isl_tokens", f"{workload.isl_tokens.mean:g}")
    elif run.workload.isl_tokens_assumed:
        rerun = rerun.with_default("workload.isl_tokens", f"{workload.isl_tokens.mean:g}", widens=False)
    if run.workload.osl_tokens is None:
        rerun = rerun.with_default("workload.osl_tokens", f"{workload.osl_tokens.mean:g}")
    if run.workload.weight_precision is None:
        rerun = rerun.with_default("workload.weight_precision", workload.weight_precision)
    if run.workload.kv_precision is None:
        # Hardly any source states it: the residuals that the intervals come from know no better.
        rerun = rerun.with_default("workload.kv_precision", workload.kv_precision, widens=False)
    rerun = _told_speculation(rerun, run)
    if said.mode is None:
        rerun = rerun.with_default("deployment.mode", deployment.mode)
    if said.pp is None and said.tp is not None:
        rerun = rerun.with_default("deployment.pp", 1, widens=False)
    if said.attention_dp_unknown:
        rerun = rerun.with_default("deployment.attention_dp", said.attention_dp or 1, widens=False)
    if deployment.software_month is None:
        rerun = rerun.with_default("published", "today", widens=False)
    return _told_load(rerun, run)


def _told_speculation(rerun: Rerun, run: MeasuredInference) -> Rerun:
    said, workload = run.workload.speculative_decoding, rerun.workload
    assert isinstance(workload, InferenceWorkload)
    if said is Speculation.NO:
        return rerun
    taken = workload.speculative_decoding
    if taken is None:
        return rerun.with_default("workload.speculative_decoding", "none", widens=False)
    words = f"{taken.draft_tokens} drafted, {taken.acceptance_fraction:g} accepted"
    return rerun.with_default("workload.speculative_decoding", words, widens=False)


def _told_load(rerun: Rerun, run: MeasuredInference) -> Rerun:
    said, load = run.deployment.load, rerun.deployment.load
    assert load is not None
    if said is None or said.kind is not load.kind:
        rerun = rerun.with_default("deployment.load", load.kind)
    if load.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO:
        slo = getattr(rerun.workload, "slo", None)
        if slo is None:
            rerun = rerun.with_default("workload.slo", "none")
        elif run.workload.slo is None or run.workload.slo.percentile is None:
            rerun = rerun.with_default("workload.slo.percentile", f"{slo.percentile:g}", widens=False)
    if run.deployment.gpus is None and rerun.deployment.gpus:
        rerun = rerun.with_default("deployment.gpus", rerun.deployment.gpus, widens=False)
    if rerun.deployment.tp is None and rerun.deployment.gpus:
        rerun = rerun.with_default("deployment.tp", "chosen")
    return rerun


def _enough_pools(catalog: Catalog, rerun: Rerun, evaluated: Evaluated) -> Evaluated:
    """As many instances of each pool as operators start for so many requests in flight, where nobody said how many.

    Several decode beside one that prefills even for few requests, and hardly more of them for many, because larger
    batches cost less; more where memory asks for it. Prefill instances are as many as come nearest to having no time
    left.
    """
    was = rerun.deployment
    if was.load is None or was.load.value is None or (was.tp is None and was.attention_dp is None):
        return evaluated
    assumed = catalog.calibration.assumption
    usual = was.load.value / assumed("evidence.pool_requests")
    decode = max(1, round(assumed("evidence.pool_instances") * usual ** assumed("evidence.pool_growth_exponent")))
    for _ in range(_POOL_CHANGES):
        ample = _AMPLE_PREFILL * decode
        evaluated = evaluate(catalog, _with_pools(rerun, decode=decode, prefill=ample))
        if not evaluated.estimate.bottleneck.startswith("GPU memory"):
            break
        decode *= 2
    # So many would be busy all the time: rates match.
    needed = ample * _busy(evaluated.estimate)
    return evaluate(catalog, _with_pools(rerun, decode=decode, prefill=max(1, round(needed))))


def _with_pools(rerun: Rerun, *, decode: int, prefill: int) -> Rerun:
    """So many instances of each pool, each as large as was published; alike where only one layout was."""
    was = rerun.deployment
    alike = Pool(tp=was.tp, ep=was.ep, attention_dp=was.attention_dp)
    many, few = (
        replace(pool or alike, instances=instances, gpus=None)
        for pool, instances in ((was.decode, decode), (was.prefill, prefill))
    )
    gpus = decode * _pool_size(many) + prefill * _pool_size(few)
    pools = replace(was, gpus=gpus, decode=many, prefill=few)
    told = replace(rerun, deployment=pools).with_default("deployment.gpus", gpus, widens=False)
    told = told.with_default("deployment.decode.instances", decode, widens=False)
    return told.with_default("deployment.prefill.instances", prefill, widens=False)


def _pool_size(pool: Pool) -> int:
    return (pool.tp or 1) * (pool.attention_dp or 1)


def _busy(estimate: Estimate) -> float:
    """Share of its time that the prefill pool works."""
    busy = [one.value for one in estimate.utilisation if one.name == "prefill_fraction" and one.value is not None]
    return max(busy, default=0.0)


def _smallest_instance(catalog: Catalog, rerun: Rerun) -> Evaluated:
    """One instance on the fewest GPUs that hold the model and are usual; the largest tried where none does.

    The best that somebody published of pools is that of the GPUs which make most each.
    """
    deployment = rerun.deployment
    best = deployment.load is not None and deployment.load.kind is LoadKind.BEST_PUBLISHED
    if best and deployment.mode is Serving.DISAGGREGATED:
        tried = [_on_gpus(catalog, rerun, gpus) for gpus in _instance_sizes(catalog, rerun.architecture)]
        held = [one for one in tried if one.estimate.fits] or tried
        return max(held, key=lambda one: one.metrics["tokens_s_gpu"].interval.p50)
    for gpus in _instance_sizes(catalog, rerun.architecture):
        evaluated = _on_gpus(catalog, rerun, gpus)
        if evaluated.estimate.fits and _has_room(evaluated.estimate):
            break
    return evaluated


def _on_gpus(catalog: Catalog, rerun: Rerun, gpus: int) -> Evaluated:
    on = replace(rerun, deployment=replace(rerun.deployment, gpus=gpus))
    return evaluate(catalog, on.with_default("deployment.gpus", gpus))


def _instance_sizes(catalog: Catalog, architecture: ModelArchitecture | None) -> list[int]:
    """GPUs that an instance may take: models of experts are run on more than hold them."""
    sparse = architecture is not None and any(ffn.experts for ffn in architecture.ffns)
    least = catalog.calibration.assumption("evidence.moe_instance_gpus") if sparse else 1.0
    return [gpus for gpus in _INSTANCE_GPUS if gpus >= least]


def _has_room(estimate: Estimate) -> bool:
    """Whether weights leave room for a cache worth serving from."""
    weights = sum(one.gb for one in estimate.memory_gb_gpu if one.part == "weights")
    return weights <= MOST_WEIGHTS_FRACTION * estimate.memory_usable_gb_gpu
