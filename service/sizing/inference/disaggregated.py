"""Steady state of prefill and decode on GPUs of their own, from the time of their passes; arrays or scalars."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from service.sizing.inference.overheads import Overheads
from service.sizing.inference.steady import (
    BUSIEST,
    Passes,
    SteadyState,
    Stream,
    admission_s,
    before,
    eager_s,
    wait_s,
    wait_tail_s,
)
from service.sizing.inference.step import StepParts
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray

# A sequence comes to the decode instances in the middle of a step.
JOINING_STEPS = 0.5
# Utilisations of a prefill pool that are tried.
_SHARES = 64
# Halvings of what is left between a queue that is too long and one that is not.
_HALVINGS = 12


def busiest(waits: FloatArray, *, most: float, fraction: float) -> FloatArray:
    """Largest share of time, at most `most`, that a queue may be busy so that `fraction` of its waits stay under these.

    `waits` are in services; below 1 - `fraction` nobody of that many waits, and less is not bought for.
    """
    shares, tails = _tails(most, fraction)
    reached = np.searchsorted(tails, waits, side="right") - 1
    return np.asarray(shares[np.maximum(0, reached)], dtype=np.float64)


@lru_cache(maxsize=64)
def _tails(most: float, fraction: float) -> tuple[FloatArray, FloatArray]:
    """Shares of time that are tried, and the wait of each in services that `fraction` of the requests stay under."""
    shares = np.linspace(min(most, 1.0 - fraction), most, _SHARES)
    return shares, wait_tail_s(1.0, shares, fraction)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prefill:
    """What one attention rank of a prefill instance takes, seconds: a pass with one prompt, and each one more in it.

    `one_s` while all `ranks` have prompts, `alone_s` while the others have none and only help with its experts.
    `tail_s` is the pass of a long prompt; a pass carries at most `most` prompts.
    """

    one_s: FloatArray
    alone_s: FloatArray
    more_s: FloatArray
    tail_s: FloatArray
    most: FloatArray
    ranks: Numeric

    def prompts(self, requests_s: FloatArray) -> FloatArray:
        """Prompts per pass that keep a rank within its time at this rate: none waits for others without need."""
        free = BUSIEST - requests_s * self.more_s
        needed = requests_s * (self.one_s - self.more_s) / np.maximum(1e-12, free)
        return np.where(free > 0.0, np.clip(needed, 1.0, self.most), self.most)

    def pass_s(self, prompts: FloatArray) -> FloatArray:
        """Time [s] of a pass with so many prompts, while all ranks have as many."""
        return np.asarray(self.one_s + (prompts - 1.0) * self.more_s, dtype=np.float64)

    def beside_s(self, busy: FloatArray) -> FloatArray:
        """Time [s] of a pass with one prompt while each other rank has one for this share of the time."""
        return np.asarray(self.alone_s + np.minimum(1.0, busy) * (self.one_s - self.alone_s), dtype=np.float64)

    def busy(self, requests_s: FloatArray, prompts: FloatArray) -> FloatArray:
        """Share of its time that a rank computes at this rate: a pass is the longer the more the others compute."""
        full = requests_s * self.pass_s(prompts) / prompts
        helped = requests_s * self.alone_s / np.maximum(1e-12, 1.0 - requests_s * (self.one_s - self.alone_s))
        return np.where((prompts > 1.0) | (full >= 1.0), full, np.minimum(full, helped))

    def lockstep_s(self, took_s: FloatArray, busy: FloatArray) -> FloatArray:
        """Time [s] that a prompt waits for the pass of other ranks to end: all begin one together, half of it is left.

        The own rank's passes are in its queue.
        """
        anywhere = 1.0 - (1.0 - busy) ** np.asarray(self.ranks, dtype=np.float64)
        return np.asarray(0.5 * took_s * np.maximum(0.0, anywhere - busy), dtype=np.float64)

    def ahead_s(self, clients: FloatArray, stream: Stream, overheads: Overheads) -> FloatArray:
        """Time [s] that prompts of clients in step take before an own one, of so many clients on a rank."""
        if stream.independent:
            return np.zeros((1, 1))
        each = self.pass_s(self.most) / self.most
        waited = before(clients, clients / self.most)
        return np.asarray(stream.closed * overheads.wave * waited * each, dtype=np.float64)


def prefilling(
    passes: StepParts,
    stream: Stream,
    overheads: Overheads,
    *,
    pass_tokens: FloatArray,
    most_tokens: Numeric,
    ranks: Numeric,
) -> Prefill:
    """Times of the two kinds of pass: `passes` carry one prompt (or its largest chunk), and as many as they can.

    On every one of the `ranks` of attention data parallelism: a prompt alone has their GPUs for its experts.
    """
    took = eager_s(passes, overheads)
    one, full = took[:, :1], took[:, 1:]
    lone = eager_s(replace(passes, experts=passes.experts / ranks), overheads)[:, :1]
    most = np.maximum(1.0, most_tokens / stream.new_tokens)
    growth = stream.tail_tokens / stream.new_tokens
    attention = overheads.context * overheads.gpu_vintage * passes.context[:, :1]
    count = np.maximum(1.0, stream.new_tokens / pass_tokens)
    mean = count * one
    more = np.clip(np.where(most > 1.0, (full - one) / np.maximum(1e-9, most - 1.0), mean), 0.0, mean)
    # A longer prompt has more tokens in a pass, and takes no more passes than it fills.
    parts = np.maximum(1.0, stream.tail_tokens / pass_tokens)
    saved = parts - np.maximum(1.0, stream.tail_tokens / most_tokens)
    tail = parts * (one + (growth - 1.0) * attention) - np.maximum(0.0, saved) * np.maximum(0.0, one - more)
    return Prefill(
        one_s=mean,
        alone_s=np.minimum(mean, count * lone),
        more_s=more,
        tail_s=np.maximum(mean, tail),
        most=np.broadcast_to(np.asarray(most, dtype=np.float64), mean.shape),
        ranks=ranks,
    )


def fullest(stream: Stream) -> FloatArray:
    """Largest share of time that a prefill pool computes: all of it where clients wait for it, and its queue ends."""
    return np.where(np.asarray(stream.closed) > 0.0, 1.0, BUSIEST)


def decoding(
    passes: Passes,
    stream: Stream,
    overheads: Overheads,
    *,
    prefill: Prefill,
    transfer_s: FloatArray,
    servers: Numeric,
    ratio: Numeric | None,
    utilisation: float,
    ttft_s: Numeric = np.inf,
) -> tuple[SteadyState, FloatArray]:
    """Decode without prompts beside it, and the prefill instances that one decode instance needs.

    A prefill instance serves `servers` streams of prompts at once. With a given `ratio` of prefill to decode instances
    the pool that is short sets the pace: `prefill_fraction` says how much of what prefill can do the batch asks for,
    above one no such batch is ever reached. Without a ratio prefill is bought for `utilisation`, or for less where only
    shorter queues keep the tail of the TTFT under `ttft_s`.
    """
    # Every rank of attention data parallelism has a scheduler of its own.
    scheduled = np.maximum(1.0, passes.batch / passes.attention_dp)
    host = overheads.sequence_s * scheduled * overheads.host_vintage
    step = (passes.decode.elapsed_s(overheads) + host) * (1.0 + overheads.untuned_fraction)
    wanted = passes.batch / (stream.steps * step)
    handed = transfer_s + overheads.handoff_s * overheads.host_vintage
    fixed = handed + JOINING_STEPS * step + admission_s(stream, overheads, host_factor=passes.decode.host_factor)
    if ratio is None:
        slack = ttft_s - prefill.tail_s - fixed
        busy = _bought(prefill, stream, overheads, step=step, slack=slack, servers=servers, most=utilisation)
        took, prompts = prefill.beside_s(busy), np.ones((1, 1))
        instances = wanted * took / (busy * servers)
        carried, asked = wanted, busy
    else:
        capacity = ratio * servers
        most = fullest(stream) * capacity * prefill.most / prefill.pass_s(prefill.most)
        carried = np.minimum(wanted, most)
        prompts = prefill.prompts(carried / capacity)
        asked = prefill.busy(wanted / capacity, prompts)
        # What queues beyond that are clients that never decode at once: Little's law has them.
        busy = np.minimum(BUSIEST, asked)
        took = np.where(prompts > 1.0, prefill.pass_s(prompts), prefill.beside_s(asked))
        instances = np.broadcast_to(np.asarray(ratio, dtype=np.float64), step.shape)
    each = took / (prompts * servers)
    ahead = prefill.ahead_s(passes.batch / (instances * servers), stream, overheads)
    lockstep = prefill.lockstep_s(took, busy)
    tail = np.maximum(took, prefill.tail_s) + wait_tail_s(each, busy, stream.tail_fraction) + 2.0 * (lockstep + ahead)
    state = SteadyState(
        ttft_s=took + wait_s(each, busy) + lockstep + ahead + fixed,
        ttft_tail_s=tail + fixed,
        tpot_s=np.asarray(step / stream.accepted_tokens, dtype=np.float64),
        cycle_s=step,
        step_s=step,
        prefill_s=took,
        prefill_fraction=np.asarray(asked, dtype=np.float64),
        requests_s=np.asarray(carried, dtype=np.float64),
        decode=passes.decode,
    )
    return state, np.asarray(instances, dtype=np.float64)


def _bought(
    prefill: Prefill,
    stream: Stream,
    overheads: Overheads,
    *,
    step: FloatArray,
    slack: FloatArray,
    servers: Numeric,
    most: float,
) -> FloatArray:
    """How busy a prefill pool is bought to be: at most `most`, less where tails of waiting would exceed the slack [s].

    Clients of a closed loop that come together wait for each other too, the fewer of them come to a rank the less.
    """
    each = prefill.one_s / servers
    queued = busiest(np.broadcast_to(slack / each, step.shape), most=most, fraction=stream.tail_fraction)
    if not stream.waits_somewhere:
        return queued
    decode_s = stream.steps * step
    low, high = np.full(step.shape, min(most, 1.0 - stream.tail_fraction)), queued
    for _ in range(_HALVINGS):
        tried = 0.5 * (low + high)
        # As many decode as come in the time that they take: clients of a rank that is so busy.
        ahead = prefill.ahead_s(tried * decode_s / prefill.one_s, stream, overheads)
        fits = wait_tail_s(each, tried, stream.tail_fraction) + 2.0 * ahead <= slack
        low, high = np.where(fits, tried, low), np.where(fits, high, tried)
    # An open bound leaves the pool as it is.
    return np.where(np.isinf(slack), queued, low)


def balanced(batches: FloatArray, prefill_fraction: FloatArray, *, fullest: float) -> FloatArray:
    """The batch of each row at which its prefill pool has no time left beyond `fullest`; the last where it always has.

    More clients than that wait for their prompts and never decode at once.
    """
    found = [
        np.exp(np.interp(np.log(fullest), np.log(np.maximum(1e-12, np.maximum.accumulate(busy))), np.log(row)))
        for row, busy in zip(batches, prefill_fraction, strict=True)
    ]
    return np.array(found, dtype=np.float64)
