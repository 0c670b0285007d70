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
    wait_tail_s,
    waits_s,
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
    `tail_s` is the pass of a long prompt; a pass carries at most `most` prompts. Over ranks and pipeline stages an
    instance serves `servers` streams of prompts at once.
    """

    one_s: FloatArray
    alone_s: FloatArray
    more_s: FloatArray
    tail_s: FloatArray
    most: FloatArray
    ranks: Numeric
    servers: Numeric

    @property
    def stages(self) -> Numeric:
        """Passes of one rank that run behind each other, a pipeline stage apart."""
        return self.servers / self.ranks

    @property
    def each_s(self) -> FloatArray:
        """Time [s] of a rank for a prompt while passes are full: no more prompts than that are ever computed."""
        return np.asarray(self.pass_s(self.most) / self.most, dtype=np.float64)

    def prompts(self, requests_s: FloatArray) -> FloatArray:
        """Prompts per pass at this rate: those that came while the last one ran, one at least."""
        free = 1.0 - requests_s * self.more_s
        needed = requests_s * (self.one_s - self.more_s) / np.maximum(1e-12, free)
        return np.where(free > 0.0, np.clip(needed, 1.0, self.most), self.most)

    def pass_s(self, prompts: FloatArray) -> FloatArray:
        """Time [s] of a pass with so many prompts, while all ranks have as many."""
        return np.asarray(self.one_s + (prompts - 1.0) * self.more_s, dtype=np.float64)

    def beside_s(self, busy: FloatArray) -> FloatArray:
        """Time [s] of a pass with one prompt while each other rank has one for this share of the time."""
        return np.asarray(self.alone_s + np.minimum(1.0, busy) * (self.one_s - self.alone_s), dtype=np.float64)

    def busy(self, requests_s: FloatArray) -> FloatArray:
        """Share of its time that a rank computes at this rate: a pass is the longer the more the others compute."""
        helped = requests_s * self.alone_s / np.maximum(1e-12, 1.0 - requests_s * (self.one_s - self.alone_s))
        return np.where(requests_s * self.one_s >= 1.0, 1.0, np.minimum(1.0, helped))

    def took_s(self, requests_s: FloatArray) -> FloatArray:
        """Time [s] of the pass that a prompt shares at this rate with whoever came meanwhile."""
        prompts = self.prompts(requests_s)
        return np.where(prompts > 1.0, self.pass_s(prompts), self.beside_s(self.busy(requests_s)))

    def waits_s(self, requests_s: FloatArray, fraction: float) -> tuple[FloatArray, FloatArray]:
        """Time [s] from a prompt's coming to its pass, in the mean and for `fraction` of the prompts.

        All ranks begin a pass together, so that any of them that computes is waited for.
        """
        running = 1.0 - (1.0 - self.busy(requests_s)) ** np.asarray(self.ranks, dtype=np.float64)
        begun = self.took_s(requests_s) / self.stages
        return waits_s(begun, self.queued_s, running=running, busy=self.queue(requests_s), fraction=fraction)

    def queue(self, requests_s: FloatArray) -> FloatArray:
        """How busy prompts keep the queue that take passes one after another, on ranks that all compute."""
        return np.minimum(BUSIEST, requests_s * self.one_s)

    @property
    def queued_s(self) -> FloatArray:
        """Time [s] for which a prompt holds the queue before all streams."""
        return np.asarray(self.one_s / self.servers, dtype=np.float64)

    def ahead_s(self, clients: FloatArray, stream: Stream, overheads: Overheads) -> FloatArray:
        """Time [s] that prompts of clients in step take before an own one, of so many clients on a rank."""
        if stream.independent:
            return np.zeros((1, 1))
        waited = before(clients, clients / self.most)
        return np.asarray(stream.closed * overheads.wave * waited * self.each_s, dtype=np.float64)


def prefilling(
    passes: StepParts,
    stream: Stream,
    overheads: Overheads,
    *,
    pass_tokens: FloatArray,
    most_tokens: Numeric,
    ranks: Numeric,
    servers: Numeric,
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
        servers=servers,
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
    ratio: Numeric | None,
    utilisation: float,
    ttft_s: Numeric = np.inf,
) -> tuple[SteadyState, FloatArray]:
    """Decode without prompts beside it, and the prefill instances that one decode instance needs.

    With a given `ratio` of prefill to decode instances the pool that is short sets the pace. Without a ratio prefill is
    bought for `utilisation`, or for less where only shorter queues keep the tail of the TTFT under `ttft_s`.
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
        rate = _bought(prefill, stream, overheads, step=step, slack=slack, most=utilisation)
        carried, instances = wanted, wanted / (rate * prefill.servers)
        asked = rate * prefill.each_s
    else:
        capacity = ratio * prefill.servers
        carried = np.minimum(wanted, fullest(stream) * capacity / prefill.each_s)
        # What queues beyond that are clients that never decode at once: Little's law has them.
        rate, asked = carried / capacity, wanted / capacity * prefill.each_s
        instances = np.broadcast_to(np.asarray(ratio, dtype=np.float64), step.shape)
    took = prefill.took_s(rate)
    ahead = prefill.ahead_s(passes.batch / (instances * prefill.servers), stream, overheads)
    wait, longest = prefill.waits_s(rate, stream.tail_fraction)
    state = SteadyState(
        ttft_s=took + wait + ahead + fixed,
        ttft_tail_s=np.maximum(took, prefill.tail_s) + longest + 2.0 * ahead + fixed,
        tpot_s=np.asarray(step / stream.accepted_tokens, dtype=np.float64),
        cycle_s=step,
        step_s=step,
        prefill_s=took,
        prefill_fraction=prefill.busy(rate),
        asked_fraction=np.asarray(asked, dtype=np.float64),
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
    most: float,
) -> FloatArray:
    """Requests/s of a rank that a prefill pool is bought for: busy `most` of its time, or less where tails of waiting
    would exceed the slack [s].

    Clients of a closed loop that come together wait for each other too, the fewer of them come to a rank the less.
    """
    last = most / prefill.beside_s(np.full((1, 1), most))
    each = prefill.queued_s
    # Of what is waited for the pass that is running is counted as where the pool is busiest; the queue may be shorter.
    _, longest = prefill.waits_s(last, stream.tail_fraction)
    running = longest - wait_tail_s(each, prefill.queue(last), stream.tail_fraction)
    waits = np.broadcast_to((slack - running) / each, step.shape)
    queued = np.minimum(last, busiest(waits, most=BUSIEST, fraction=stream.tail_fraction) / prefill.one_s)
    if not stream.waits_somewhere:
        return queued
    decode_s = stream.steps * step
    low, high = np.minimum(queued, min(most, 1.0 - stream.tail_fraction) / prefill.one_s), queued
    for _ in range(_HALVINGS):
        tried = 0.5 * (low + high)
        # As many decode as come in the time that they take: clients of a rank at that rate.
        ahead = prefill.ahead_s(tried * decode_s, stream, overheads)
        fits = wait_tail_s(each, prefill.queue(tried), stream.tail_fraction) + running + 2.0 * ahead <= slack
        low, high = np.where(fits, tried, low), np.where(fits, high, tried)
    # An open bound leaves the pool as it is.
    return np.where(np.isinf(slack), queued, low)


def balanced(batches: FloatArray, asked_fraction: FloatArray, *, fullest: float) -> FloatArray:
    """The batch of each row at which its prefill pool has no time left beyond `fullest`; the last where it always has.

    More clients than that wait for their prompts and never decode at once.
    """
    found = [
        np.exp(np.interp(np.log(fullest), np.log(np.maximum(1e-12, np.maximum.accumulate(busy))), np.log(row)))
        for row, busy in zip(batches, asked_fraction, strict=True)
    ]
    return np.array(found, dtype=np.float64)
