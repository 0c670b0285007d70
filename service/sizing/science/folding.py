"""Structure prediction: bucketed lengths, seeds, recycles, samples, memory by tokens squared, the alignment stage."""

import math
from statistics import NormalDist

import numpy as np

from service.errors import UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.numeric import Numeric
from service.sizing.result import Assumed
from service.sizing.science.alignments import msa_needs
from service.sizing.science.application import Application, FoldingFacts, MemoryLaw
from service.sizing.science.job import Job
from service.sizing.science.rate import WorkSize
from service.sizing.science.workload import FoldingWorkload, SizeDistribution
from service.sizing.spoken import spoken
from service.sizing.table import FloatArray
from service.sizing.units import GB

_Z95 = NormalDist().inv_cdf(0.95)
# No log-normal has a 95th percentile at more times its mean.
WIDEST_P95_MEANS = math.exp(_Z95 * _Z95 / 2.0)
# Middles of ten slices of equal probability stand for a distribution of lengths.
_SLICES = tuple((k + 0.5) / 10 for k in range(10))
_FACTS_MISSING = "has no folding facts in config/science"


def lengths(size: SizeDistribution) -> tuple[float, ...]:
    """Lengths [tokens] that stand for the distribution: the mean alone, or slices of a log-normal through mean and p95.

    ln p95 = mu + 1.645 sigma and ln mean = mu + sigma^2 / 2 give the smaller root for sigma.
    """
    if size.p95 is None or size.p95 <= size.mean:
        return (size.mean,)
    gap = math.log(size.p95 / size.mean)
    # Nobody may ask for a p95 over 3.87 means; at that limit rounding may leave less than nothing.
    sigma = _Z95 - math.sqrt(max(0.0, _Z95 * _Z95 - 2.0 * gap))
    mu = math.log(size.mean) - sigma * sigma / 2.0
    raw = [math.exp(mu + sigma * NormalDist().inv_cdf(q)) for q in _SLICES]
    scale = size.mean * len(raw) / math.fsum(raw)
    return tuple(value * scale for value in raw)


def bucket_tokens(tokens: float, facts: FoldingFacts) -> float:
    """Length [tokens] that is computed: the next compilation bucket, above the last one the next step."""
    for bucket in facts.buckets_tokens:
        if tokens <= bucket:
            return float(bucket)
    if not facts.buckets_tokens:
        return tokens
    return math.ceil(tokens / facts.bucket_step_tokens) * float(facts.bucket_step_tokens)


def setting_factor(*, recycles: int, samples: int, facts: FoldingFacts, diffusion_fraction: float) -> float:
    """Time over the published settings: trunk ~ recycles + 1, diffusion ~ samples beyond the published number.

    Source: method notes, section 1 (trunk time goes with R + 1; up to the published samples are inside the curve).
    """
    trunk = (recycles + 1.0) / (facts.published_recycles + 1.0)
    diffusion = max(1.0, samples / facts.published_samples)
    return (1.0 - diffusion_fraction) * trunk + diffusion_fraction * diffusion


def folding_bytes(tokens: Numeric, law: MemoryLaw) -> FloatArray:
    """GPU memory [bytes] of one target: base + bytes per token pair x tokens^2 (alphafold3 docs/performance.md)."""
    return np.asarray(law.base_gb * GB + law.size_bytes * np.asarray(tokens, dtype=np.float64) ** law.power)


def longest_tokens(memory_bytes: Numeric, law: MemoryLaw) -> FloatArray:
    """Longest target [tokens] that so much memory holds; 0 where not even the model fits."""
    room = np.maximum(0.0, np.asarray(memory_bytes, dtype=np.float64) - law.base_gb * GB)
    return np.asarray(np.floor((room / law.size_bytes) ** (1.0 / law.power)), dtype=np.float64)


def floor_bucket(tokens: float, facts: FoldingFacts) -> float:
    """Largest computed length [tokens] that is not above `tokens`; 0 under the first bucket."""
    if not facts.buckets_tokens:
        return tokens
    if tokens >= facts.buckets_tokens[-1]:
        return math.floor(tokens / facts.bucket_step_tokens) * float(facts.bucket_step_tokens)
    return float(max((b for b in facts.buckets_tokens if b <= tokens), default=0))


def folding_job(workload: FoldingWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one target: all its seeds and models."""
    facts, law = application.folding, application.memory
    if facts is None or law is None:
        raise UnsupportedWorkloadError(f"{application.id} {_FACTS_MISSING}")
    computed = [bucket_tokens(n, facts) for n in lengths(workload.tokens)]
    moments = tuple(math.fsum(n**power for n in computed) / len(computed) for power in range(4))
    longest = bucket_tokens(workload.tokens.p95 or workload.tokens.mean, facts)
    diffusion = calibration.assumption("science.diffusion_share_fraction")
    seeds = float(workload.seeds * facts.models_target)
    return Job(
        application=application,
        metric="targets_day",
        demand_field="workload.targets_day",
        demand_day=workload.targets_day,
        units_item=seeds,
        size=WorkSize(
            typical=moments[1],
            largest=longest,
            moments=moments,
            slices=tuple(computed) if len(computed) > 1 else (),
        ),
        time_factor=setting_factor(
            recycles=facts.published_recycles if workload.recycles is None else workload.recycles,
            samples=workload.samples or facts.published_samples,
            facts=facts,
            diffusion_fraction=diffusion,
        ),
        fixed_item_s=facts.host_s_seed * seeds,
        memory_bytes=float(folding_bytes(longest, law)),
        longest=longest,
        output_bytes_item=_embedding_bytes(workload, facts, pairs=moments[2]),
        msa=msa_needs(workload, facts, calibration, targets_day=workload.targets_day or 0.0),
        assumed=_assumed(workload, facts),
    )


def _embedding_bytes(workload: FoldingWorkload, facts: FoldingFacts, *, pairs: float) -> float | None:
    """Embeddings of all seeds of one target [bytes]: bytes a pair x mean of tokens^2; None if none are kept."""
    if not workload.keep_embeddings or facts.embedding_pair_bytes is None:
        return None
    return workload.seeds * facts.embedding_pair_bytes * pairs


def _assumed(workload: FoldingWorkload, facts: FoldingFacts) -> tuple[Assumed, ...]:
    found = [
        Assumed(
            field="host_s_seed",
            value=f"{spoken(facts.host_s_seed)} s",
            why="host time per seed that the GPU waits for: features in, structures out",
            source=facts.source,
        )
    ]
    for name, value, own in (
        ("samples", workload.samples, facts.published_samples),
        ("recycles", workload.recycles, facts.published_recycles),
    ):
        if value is None:
            why = "not given: as the application is published"
            found.append(Assumed(field=f"workload.{name}", value=f"{own}", why=why, source=facts.source))
    if workload.keep_embeddings and facts.embedding_pair_bytes is None:
        why = "not in the storage: nobody published how large those of this application are"
        found.append(Assumed(field="workload.keep_embeddings", value="not counted", why=why, source=facts.source))
    given = workload.tokens.p95
    why = "not given: every target has the mean" if given is None else "memory is checked at this length"
    found.append(Assumed(field="workload.tokens.p95", value=spoken(given or workload.tokens.mean), why=why))
    return tuple(found)
