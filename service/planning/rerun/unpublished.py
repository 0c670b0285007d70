"""What a training run did not publish and what follows from the rest of it, or from how such runs usually are."""

import math
import re

import numpy as np

from service.catalog.catalog import Catalog
from service.planning.rerun.target import (
    reference_targets,
    references,
    scored_sequences,
    sequences_to_target,
    target_spread,
)
from service.schemas.measured import MeasuredTraining
from service.sizing.architecture import ModelArchitecture, count
from service.sizing.calibration import Calibration
from service.sizing.interval import Spread
from service.sizing.precision import Precision
from service.sizing.workload import Deployment, LoraTargets, Method, PrecisionRecipe, Recompute, Sharding

TUNED = frozenset({Method.SFT, Method.LORA, Method.QLORA, Method.DPO, Method.GRPO})
_SHARDS_MORE = frozenset({Sharding.ZERO2, Sharding.ZERO3})
_NEMO_RL = re.compile(r"nemo[- ]?rl", re.IGNORECASE)
_ROLLOUTS, _SMALL_PARAMS, _SHORT_TOKENS = 64 * 32, 100e9, 4096
_COPIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


def precision(catalog: Catalog, run: MeasuredTraining, gpu: str, *, plain_stack: bool) -> Precision:
    """As published; else as most runs: 16 bit to tune; to train or to reach a target 8 bit where the GPU has it.

    Layers as frameworks bring them multiply in 16 bit: 8 bits are an addition to them, which who uses it states.
    """
    if run.workload.precision is not None:
        return run.workload.precision
    known = {spec.id: spec for spec in catalog.hardware.gpus}.get(gpu)
    wide = Precision.FP16 if known is not None and known.bf16_dense_tflops is None else Precision.BF16
    if plain_stack or (run.workload.method in TUNED and run.workload.samples_to_target is None):
        return wide
    return Precision.FP8 if known is not None and known.fp8_dense_tflops else wide


def recipe(run: MeasuredTraining) -> PrecisionRecipe:
    """The way of scaling that is published, where the engine knows it and it goes with the precision."""
    said, known = run.workload.precision_recipe, {str(each): each for each in PrecisionRecipe}
    narrow = {Precision.FP8: said != PrecisionRecipe.NVFP4, Precision.FP4: said == PrecisionRecipe.NVFP4}
    fitting = run.workload.precision is not None and narrow.get(run.workload.precision, False)
    return known.get(said or "", PrecisionRecipe.AUTO) if fitting else PrecisionRecipe.AUTO


def lengths(
    run: MeasuredTraining, method: Method, architecture: ModelArchitecture, calibration: Calibration
) -> tuple[int, int]:
    """Tokens of a typical and of the longest sequence: the first set the pace, the second the peak of memory.

    An encoder's length is a limit that its texts fill in part, packed without padding, and that of rollouts one which
    few answers reach; a length that nobody stated is that of instruction tuning, or of pre-training, to which stacks
    that split a model pack their examples.
    """
    said, get = run.workload.seq_len_tokens, calibration.assumption
    if said is None and splits_tuning(run):
        said = int(get("evidence.seq_len_tokens"))
    if said is not None:
        filled = get("evidence.encoder_filled_fraction") if architecture.encoder else 1.0
        if method is Method.GRPO:
            return max(1, round(said * get("evidence.answer_filled_fraction"))), said
        typical = max(1, round(said * filled))
        return typical, typical
    if method in TUNED:
        return int(get("evidence.tuning_seq_len_tokens")), int(get("evidence.tuning_longest_tokens"))
    usual = int(get("evidence.seq_len_tokens"))
    return usual, usual


def data_ranks(run: MeasuredTraining) -> int | None:
    """Data-parallel degree: as published, else what batch, micro-batch and accumulation leave.

    Who states an accumulation and no micro-batch has as many ranks as the micro-batch follows from.
    """
    said, batch = run.deployment, run.workload.global_batch_sequences
    if said.dp is None and said.micro_batch is None and micro_batch(run) is not None:
        return _unsaid_ranks(run)
    if said.dp is not None or batch is None or said.micro_batch is None or said.gradient_accumulation is None:
        return said.dp
    ranks, rest = divmod(batch, said.micro_batch * said.gradient_accumulation)
    degrees = (said.tp or 1) * (said.pp or 1) * (said.cp or 1)
    gpus = said.gpus or 0
    return ranks if rest == 0 and ranks and gpus % (ranks * degrees) == 0 else None


def _unsaid_ranks(run: MeasuredTraining) -> int:
    said = run.deployment
    return max(1, (said.gpus or 0) // ((said.tp or 1) * (said.pp or 1) * (said.cp or 1)))


def micro_batch(run: MeasuredTraining) -> int | None:
    """Sequences of a micro-batch: as published, else what batch, data ranks and accumulation leave."""
    said, batch = run.deployment, run.workload.global_batch_sequences
    if said.micro_batch is not None or batch is None or said.gradient_accumulation is None or not said.gpus:
        return said.micro_batch
    found, rest = divmod(batch, (said.dp or _unsaid_ranks(run)) * said.gradient_accumulation)
    return found if rest == 0 and found else None


def is_plain(run: MeasuredTraining) -> bool:
    """Whether a run is tuning that does not even state its lengths: nothing is split or made again."""
    return run.workload.method in TUNED and run.workload.seq_len_tokens is None and not splits_tuning(run)


def splits_tuning(run: MeasuredTraining) -> bool:
    """Whether a run is tuning that states a tensor, pipeline or expert degree."""
    said = run.deployment
    return run.workload.method in TUNED and any(degree is not None for degree in (said.tp, said.pp, said.ep))


def shards_plainly(run: MeasuredTraining) -> bool:
    """Whether a run is the plainest tuning on several GPUs: its tools shard everything, layer by layer.

    They load whole weights on every GPU, and make each layer again in the backward pass.
    """
    said = run.deployment
    return is_plain(run) and said.sharding is None and said.dp is None and (said.gpus or 0) > 1


def tunes_by_default(run: MeasuredTraining) -> bool:
    """Whether a run is tuning that states its lengths and nothing of its layout: it went as its tools come.

    They split nothing and, as tools that tune come, make layers again. A race to a target is a recipe of its own, and
    so is reinforcement learning.
    """
    said = run.deployment
    unsaid = all(degree is None for degree in (said.tp, said.pp, said.cp, said.ep)) and said.recompute is None
    tuned = run.workload.method in TUNED - {Method.GRPO} and run.workload.seq_len_tokens is not None
    return tuned and unsaid and run.workload.samples_to_target is None


def lora_targets(run: MeasuredTraining) -> LoraTargets:
    """What is adapted: attention alone in reference recipes; every matrix where a stack that splits runs as it comes.

    Who states neither a batch nor a precision has taken no recipe.
    """
    plain = run.workload.global_batch_sequences is None and run.workload.precision is None
    return LoraTargets.ALL if plain and splits_tuning(run) else LoraTargets.ATTENTION


def only_shards(run: MeasuredTraining) -> bool:
    """Whether a run shards gradients or weights and says nothing of other degrees: such stacks split nothing else."""
    said = run.deployment
    return said.sharding in _SHARDS_MORE and all(degree is None for degree in (said.tp, said.pp, said.cp, said.ep))


def sharding(run: MeasuredTraining) -> Sharding | None:
    """As published; the optimizer's states in stacks that state a tensor, pipeline or expert degree.

    The optimizer of such stacks is always distributed: `none` is what they say of anything beyond it.
    """
    said = run.deployment
    if shards_plainly(run):
        return Sharding.ZERO3
    unsaid = said.sharding in {None, Sharding.NONE}
    splits = any(degree is not None for degree in (said.tp, said.pp, said.ep))
    return Sharding.ZERO1 if unsaid and splits else said.sharding


def is_unsplit(run: MeasuredTraining) -> bool:
    """Whether a run is tuning of all parameters that says nothing of degrees or sharding."""
    said = run.deployment
    degrees = (said.tp, said.pp, said.cp, said.ep, said.dp, said.sharding)
    return run.workload.method is Method.SFT and all(degree is None for degree in degrees)


def recompute(run: MeasuredTraining) -> Recompute | None:
    """As published; none in the plainest tuning on one GPU, full in other tuning that states no layout."""
    said = run.deployment.recompute
    if said is None and (shards_plainly(run) or tunes_by_default(run)):
        return Recompute.FULL
    return Recompute.NONE if said is None and is_plain(run) else said


def rollouts(run: MeasuredTraining, architecture: ModelArchitecture) -> int:
    """Sequences that one step of a run trains on: its global batch, or all that it rolls out before several updates.

    Templates of NeMo RL for models up to 70 billion parameters roll out 64 prompts 32 times and train on 512 sequences
    at once, four updates; those of larger models, and of longer sequences, once (examples/configs/grpo_math_8B.yaml).
    """
    batch = run.workload.global_batch_sequences or 1
    length = run.workload.seq_len_tokens or 0
    if run.workload.method is not Method.GRPO or not _NEMO_RL.search(run.deployment.software or ""):
        return batch
    small = float(np.asarray(count(architecture).total_params)) <= _SMALL_PARAMS and length <= _SHORT_TOKENS
    return max(batch, _ROLLOUTS) if small else batch


def fleets(deployment: Deployment) -> tuple[int, ...]:
    """GPU counts that a run without one may have had, ascending: multiples of what one copy of its model takes."""
    copy = max((deployment.tp or 1) * (deployment.pp or 1) * (deployment.cp or 1), deployment.ep or 1)
    return tuple(copy * times for times in _COPIES)


def tokens(
    run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration, *, method: Method, length: int
) -> float:
    """Tokens of the whole run; where nobody said, what references to its target or runs of this method take.

    A race that took fewer sequences than its target is scored with counts as if it had taken these.
    """
    said, targets = run.workload.samples_to_target, references(run, architecture, calibration)
    batch = run.workload.global_batch_sequences
    if said is not None:
        least = scored_sequences(targets, batch) if targets and batch else 0.0
        return max(float(said), least) * length
    if targets:
        return sequences_to_target(targets, batch or targets[0].batch_sequences) * length
    return usual_tokens(architecture, calibration, method=method, length=length)


def usual_tokens(architecture: ModelArchitecture, calibration: Calibration, *, method: Method, length: int) -> float:
    """Tokens that whole runs of this method usually take, where nothing is said and no target is raced to."""
    value = calibration.assumption(usual_length(architecture, method=method))
    if method in TUNED or architecture.encoder:
        return value * length
    return value * float(np.asarray(count(architecture).total_params))


def usual_length(architecture: ModelArchitecture, *, method: Method) -> str:
    """The assumption on how long a run is that does not say: sequences, or tokens per parameter."""
    if method in TUNED:
        return "evidence.tuning_sequences"
    return "evidence.encoder_sequences" if architecture.encoder else "evidence.pretrain_tokens_param"


def length_spread(
    run: MeasuredTraining, architecture: ModelArchitecture, calibration: Calibration, *, method: Method
) -> Spread:
    """How far the length of a run may lie from what was taken: bounds of the assumption; not at all where stated."""
    if run.workload.samples_to_target is not None:
        return Spread(shift=0.0, down=0.0, up=0.0)
    targets = reference_targets(run, architecture, calibration)
    if targets:
        return target_spread(targets)
    return usual_spread(architecture, calibration, method=method)


def usual_spread(architecture: ModelArchitecture, calibration: Calibration, *, method: Method) -> Spread:
    """How far the length of a whole run may lie from the usual one: the bounds of the assumption."""
    entry = calibration.assumptions[usual_length(architecture, method=method)]
    return Spread(shift=0.0, down=math.log(entry.value / entry.low), up=math.log(entry.high / entry.value))
