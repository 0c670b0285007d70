"""Steady state of one serving instance, from the time of its passes to latencies and throughput; arrays or scalars.

Nothing here knows a model or a GPU: the search evaluates candidates with it, and the calibration measured runs.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.overheads import Overheads
from service.sizing.inference.step import StepParts
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray

# Queues that are busier never end.
BUSIEST = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """The requests of an instance: tokens per request, tokens gained per decode step, and how they arrive.

    `new_tokens` is the part of a prompt that no prefix cache holds. `closed` is 1 where a fixed number of clients sends
    a request whenever one has ended, 0 where requests arrive independently; `alike_fraction` is 1 where all
    requests take the same number of steps.
    """

    new_tokens: Numeric
    tail_tokens: Numeric
    osl_tokens: Numeric
    accepted_tokens: Numeric
    closed: Numeric
    alike_fraction: Numeric
    tail_fraction: float

    @property
    def independent(self) -> bool:
        """Whether no client waits for an answer before its next request."""
        return not isinstance(self.closed, np.ndarray) and self.closed == 0.0

    @property
    def waits_somewhere(self) -> bool:
        """Whether any client waits for an answer before its next request."""
        return not self.independent and bool(np.any(np.asarray(self.closed) > 0.0))

    @property
    def steps(self) -> FloatArray:
        """Decode steps of one request."""
        return np.asarray(self.osl_tokens / self.accepted_tokens, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passes:
    """Passes of one instance at `batch` decoding sequences: decode alone, and with `pass_tokens` of prompts beside it.

    `full` carries prompts alone, `most_tokens` of them, which is how many a pass can carry; `rank_sequences` are the
    sequences of one attention rank in one pipeline micro-batch.
    """

    batch: FloatArray
    attention_dp: Numeric
    pp: Numeric
    decode: StepParts
    mixed: StepParts
    full: StepParts
    pass_tokens: FloatArray
    most_tokens: Numeric

    @property
    def rank_sequences(self) -> FloatArray:
        """Sequences of one attention rank in one micro-batch."""
        return np.asarray(self.batch / (self.attention_dp * self.pp), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteadyState:
    """Seconds and rates of one instance; `cycle_s` lies between two steps of one sequence.

    `prefill_fraction` is the share of time that prompts are computed, `asked_fraction` how much of what pools can
    prefill the batch asks for: above one no such batch is ever reached.
    """

    ttft_s: FloatArray
    ttft_tail_s: FloatArray
    tpot_s: FloatArray
    cycle_s: FloatArray
    step_s: FloatArray
    prefill_s: FloatArray
    prefill_fraction: FloatArray
    asked_fraction: FloatArray
    requests_s: FloatArray
    decode: StepParts


def pass_tokens(rank_sequences: Numeric, stream: Stream, *, chunk_tokens: Numeric) -> FloatArray:
    """Prompt tokens of one mixed pass: a whole prompt, or all that arrive in a step, but never more than a chunk.

    Where a queue of requests that are alike is served, those that were let in by one pass end together, and as many
    take their places: their prompts fill passes, and the steps between carry none.
    """
    arrived = arriving(rank_sequences, stream)
    alike = queued_alike(stream)
    together = arrived + alike * (rank_sequences - arrived) if np.any(alike) else arrived
    prompts = np.maximum(1.0, together) * stream.new_tokens
    return np.asarray(np.minimum(chunk_tokens, prompts), dtype=np.float64)


def arriving(rank_sequences: Numeric, stream: Stream) -> FloatArray:
    """Prompts that arrive at an attention rank during one decode step, to replace the requests that end in it."""
    return np.asarray(rank_sequences / stream.steps, dtype=np.float64)


def aggregated(passes: Passes, stream: Stream, overheads: Overheads) -> SteadyState:
    """Prefill and decode share the GPUs: every so many steps carry prompts, and take longer for it."""
    host = overheads.sequence_s * np.maximum(1.0, passes.batch) * overheads.host_vintage
    alone = passes.decode.elapsed_s(overheads)
    tuned = alone + host
    untuned = overheads.untuned_fraction * tuned
    step = tuned + untuned
    gpu, launched = passes.mixed.elapsed_s(overheads), _launched_s(passes.mixed, overheads)
    mixed = _beside_launches_s(gpu, launched, passes, overheads) + host + untuned
    share = stream.new_tokens / passes.pass_tokens
    extra = np.maximum(1e-9, mixed - step) * share
    arrived = arriving(passes.rank_sequences, stream)
    prompts = arrived * extra
    # One rank alone waits for no other.
    ranked = bool((np.asarray(passes.attention_dp) > 1.0).any())
    if ranked:
        stalled = _stalled_s(passes, overheads, alone=alone, passes_rank=arrived * share)
        prompts = prompts + _drifted(stream, overheads) * stalled
    own = np.maximum(1.0, share) * mixed
    own_tail = np.maximum(
        own, _tail_s(passes, stream, overheads, added=gpu - alone, alone=alone, beside=host + untuned)
    )
    others = overheads.interference * _others(passes, stream, beside=1.0 + own / (stream.steps * step)) * prompts
    busy = np.minimum(BUSIEST, others / (step + others))
    cycle, shared = step + others, _shared(passes, stream, overheads, extra=extra)
    first, tail = _placed_s(shared, others / extra, step, mixed=mixed, fraction=stream.tail_fraction)
    if stream.independent:
        first, tail = own + first, own_tail + tail
    else:
        waited = _waited(passes, stream, overheads)
        ahead = waited * _together_s(passes, shared) if np.any(waited > 0.0) else waited
        # Prompts that a request waits for before its first token do not delay its later ones.
        cycle = step + np.maximum(0.0, others - overheads.interference * waited * extra / stream.steps)
        apart = _apart_fraction(stream, overheads)
        first, tail = own + apart * first + ahead, own_tail + apart * tail + 2.0 * ahead
    joining = overheads.admission_steps * cycle
    if ranked:
        joining = joining + _gathered_s(passes, overheads, cycle=cycle)
    fixed = joining + admission_s(stream, overheads, host_factor=passes.decode.host_factor)
    return SteadyState(
        ttft_s=first + fixed,
        ttft_tail_s=tail + fixed,
        tpot_s=np.asarray(cycle / stream.accepted_tokens, dtype=np.float64),
        cycle_s=cycle,
        step_s=step,
        prefill_s=own,
        prefill_fraction=busy,
        asked_fraction=busy,
        requests_s=np.asarray(passes.batch / (stream.steps * cycle), dtype=np.float64),
        decode=passes.decode,
    )


def together_fraction(stream: Stream, overheads: Overheads) -> FloatArray:
    """Share of the clients of a closed loop whose prompts come together.

    That of the first wave; where an engine takes all prompts before it decodes on, requests that are alike begin and
    end together, and so do those that follow them.
    """
    more = np.maximum(0.0, overheads.in_step_fraction - overheads.wave)
    return np.asarray(overheads.wave + stream.alike_fraction * more, dtype=np.float64)


def queued_alike(stream: Stream) -> FloatArray:
    """1 where requests that all take the same number of steps wait in a queue that never empties.

    Those that are let in together end together, on all ranks at once as far as these stay in step.
    """
    return np.asarray(stream.alike_fraction * (1.0 - stream.closed), dtype=np.float64)


def _drifted(stream: Stream, overheads: Overheads) -> FloatArray:
    """Share of the stalls of ranks that come independently which is left where a queue keeps them in step."""
    return np.asarray(1.0 - queued_alike(stream) * (1.0 - overheads.queued_stall_fraction), dtype=np.float64)


def _apart_fraction(stream: Stream, overheads: Overheads) -> FloatArray:
    """Part of the wait of independent arrivals that a request has which does not come together with others.

    Clients of a closed loop send when their answer has ended: spaced as the prompts before them, and in their order.
    """
    regular = stream.closed * (1.0 - overheads.closed_queue_fraction)
    apart = 1.0 - stream.closed * together_fraction(stream, overheads)
    return np.asarray((1.0 - regular) * apart, dtype=np.float64)


def admission_s(stream: Stream, overheads: Overheads, *, host_factor: Numeric) -> FloatArray:
    """Host work [s] before and after the first token: tokenise, admit, stream back."""
    work = (overheads.ttft_s + overheads.ttft_token_s * stream.new_tokens) * overheads.host_vintage
    return np.asarray(work * host_factor, dtype=np.float64)


def _gathered_s(passes: Passes, overheads: Overheads, *, cycle: FloatArray) -> FloatArray:
    """Time [s] that a prompt waits until other ranks of attention data parallelism have one too.

    A pass with prompts on one rank keeps all of them waiting, so engines gather some, up to a number of steps.
    """
    return np.asarray(np.where(passes.attention_dp > 1.0, overheads.rank_wait_steps * cycle, 0.0), dtype=np.float64)


def eager_s(parts: StepParts, overheads: Overheads) -> FloatArray:
    """A pass with prompts [s]: launched kernel by kernel, not replayed from a graph; long kernels hide the launches."""
    return np.asarray(np.hypot(parts.elapsed_s(overheads), _launched_s(parts, overheads)), dtype=np.float64)


def _prompted_s(parts: StepParts, passes: Passes, overheads: Overheads) -> FloatArray:
    """A pass with prompts [s]: launched kernel by kernel, but where one rank in one stage replays it from a graph."""
    return _beside_launches_s(parts.elapsed_s(overheads), _launched_s(parts, overheads), passes, overheads)


def _beside_launches_s(gpu_s: FloatArray, launched_s: FloatArray, passes: Passes, overheads: Overheads) -> FloatArray:
    """GPU time [s] beside the launches of its kernels, which replayed graphs do not have."""
    eager = np.hypot(gpu_s, launched_s)
    if not np.any(overheads.replayed_fraction):
        return np.asarray(eager, dtype=np.float64)
    alone = (np.asarray(passes.attention_dp) == 1) & (np.asarray(passes.pp) == 1)
    return np.where(alone & (np.asarray(overheads.replayed_fraction) > 0.0), gpu_s, eager)


def _launched_s(parts: StepParts, overheads: Overheads) -> FloatArray:
    """Host time [s] of a pass whose kernels are launched one by one."""
    launches = parts.kernels * parts.host_factor
    return np.asarray(launches * overheads.prefill_kernel_s * overheads.host_vintage, dtype=np.float64)


def _others(passes: Passes, stream: Stream, *, beside: FloatArray) -> Numeric:
    """Share of the prompts beside a request that are somebody else's: of n clients in a closed loop, (n - 1) / n.

    The arrival theorem of closed queues (Reiser, Lavenberg 1980); independent arrivals are all somebody else's. Clients
    decode for a part of their time: there are `beside` times as many as decode at once.
    """
    if stream.independent:
        return 1.0
    clients = np.maximum(1.0, passes.batch / passes.attention_dp * beside)
    return np.asarray(1.0 - stream.closed / clients, dtype=np.float64)


def _stalled_s(passes: Passes, overheads: Overheads, *, alone: FloatArray, passes_rank: FloatArray) -> FloatArray:
    """Time per step [s] that a rank stands still for prompts of other ranks; one rank alone never does."""
    stalls = overheads.stall_fraction * _stalls(passes, passes_rank)
    return np.asarray(stalls * _stall_s(passes, overheads, alone=alone), dtype=np.float64)


def _stalls(passes: Passes, passes_rank: FloatArray) -> FloatArray:
    """Passes per step in which a rank waits for another rank's prompt, beyond those with prompts of its own.

    Ranks of attention data parallelism meet in every layer, at the experts. With prompts of n ranks arriving
    independently, 1 - exp(-n a) of the steps carry one somewhere (Poisson), and only a of the passes are a rank's own.
    """
    anywhere = 1.0 - np.exp(-passes.attention_dp * passes_rank)
    return np.asarray(np.maximum(0.0, anywhere - passes_rank), dtype=np.float64)


def _stall_s(passes: Passes, overheads: Overheads, *, alone: FloatArray) -> FloatArray:
    """What the prompt of another rank adds to a step that takes so long `alone` [s]: all but experts, which are shared.

    All ranks leave the graph that they replay, and launch the kernels of such a pass one by one.
    """
    mixed, decode = passes.mixed, passes.decode
    added = overheads.products * (mixed.products - decode.products) + overheads.inputs * (mixed.inputs - decode.inputs)
    added = added + overheads.context * mixed.context
    pass_s = np.hypot(alone + np.maximum(0.0, added * overheads.gpu_vintage), _launched_s(mixed, overheads))
    return np.asarray(pass_s - alone, dtype=np.float64)


def _waited(passes: Passes, stream: Stream, overheads: Overheads) -> FloatArray:
    """Prompts of clients in step that come before a request has its first token, in the mean.

    A closed loop begins with a prompt of every client: in n equal passes of C prompts the mean first token comes after
    C (1 + 1 / n) / 2 of them, one of which is the own. Later on they come one by one, as the requests before them end;
    means of published runs hold that first wave, ten requests a client or so, however long requests decode.
    """
    clients = passes.batch / passes.attention_dp
    waited = before(clients, clients * stream.new_tokens / passes.most_tokens)
    return np.asarray(stream.closed * together_fraction(stream, overheads) * waited / passes.pp, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """What the prompts of a pass add to it [s]: `number` of them `adds_s`, each one beyond `more_s`, `most` at most."""

    number: FloatArray
    adds_s: FloatArray
    more_s: FloatArray
    most: FloatArray

    def each_s(self, prompts: FloatArray) -> FloatArray:
        """What each of so many prompts takes [s]: they share the launches and the weights of their pass."""
        return np.asarray((self.adds_s + (prompts - self.number) * self.more_s) / prompts, dtype=np.float64)


def _shared(passes: Passes, stream: Stream, overheads: Overheads, *, extra: FloatArray) -> _Shared:
    """Prompts of a pass that take `extra` [s] each, as many as come in a step, up to those of a full pass."""
    number = np.maximum(1.0, passes.pass_tokens / stream.new_tokens)
    most = np.maximum(number, passes.most_tokens / stream.new_tokens)
    left = _prompted_s(passes.full, passes, overheads) - number * extra
    more = np.clip(left / np.maximum(1e-9, most - number), 0.0, extra)
    return _Shared(number=number, adds_s=number * extra, more_s=more, most=most)


def _placed_s(
    shared: _Shared, prompts: FloatArray, step: FloatArray, *, mixed: FloatArray, fraction: float
) -> tuple[FloatArray, FloatArray]:
    """Wait [s] until a pass takes a prompt, of which others bring so many a step; in the mean and for a fraction.

    What is waited for are whole passes, with all that they carry, as far as full ones would be busy.
    """
    adds = prompts * shared.each_s(shared.most)
    busy = np.minimum(BUSIEST, adds / (step + adds))
    return wait_s(mixed, busy), wait_tail_s(mixed, busy, fraction)


def _together_s(passes: Passes, shared: _Shared) -> FloatArray:
    """What each prompt of clients in step takes [s]: of a full pass, or of one with those of all clients of a rank."""
    clients = np.maximum(1.0, passes.batch / passes.attention_dp)
    return shared.each_s(np.minimum(shared.most, np.maximum(shared.number, clients)))


def before(clients: FloatArray, passes: FloatArray) -> FloatArray:
    """Prompts other than its own that a client waits for in the mean when all clients send theirs at once."""
    return np.maximum(0.0, 0.5 * clients * (1.0 + 1.0 / np.maximum(1.0, passes)) - 1.0)


def _tail_s(
    passes: Passes, stream: Stream, overheads: Overheads, *, added: FloatArray, alone: FloatArray, beside: FloatArray
) -> FloatArray:
    """Time [s] of the passes that carry a long prompt: as many as it fills, beside the prompts of others.

    Longer prompts also attend to more. A pass takes so long `alone`, prompts `added` to it, and the host `beside` it.
    """
    carried, most = passes.pass_tokens, passes.most_tokens
    more = (passes.full.elapsed_s(overheads) - added) / np.maximum(1e-9, most - carried)
    beside_tokens = carried - np.minimum(most, stream.new_tokens)
    longer = np.minimum(most, stream.tail_tokens + beside_tokens) - carried
    growth = stream.tail_tokens / stream.new_tokens
    attention = overheads.context * overheads.gpu_vintage * passes.full.context / most
    number = np.maximum(1.0, stream.tail_tokens / most)
    work = number * (added + longer * np.clip(more, 0.0, added / carried))
    work = work + stream.tail_tokens * (growth - 1.0) * attention
    launched = number * _launched_s(passes.mixed, overheads)
    took = _beside_launches_s(number * alone + work, launched, passes, overheads)
    return np.asarray(took + number * beside, dtype=np.float64)


def wait_s(service_s: Numeric, busy: Numeric) -> FloatArray:
    """Mean wait [s] in an M/D/1 queue: s rho / (2 (1 - rho)) (Pollaczek-Khinchine); a prompt holds it for `service_s`.

    Prompts that share a pass hold the queue only for what they add to it.
    """
    return np.asarray(service_s * busy / (2.0 * (1.0 - busy)), dtype=np.float64)


def wait_tail_s(service_s: Numeric, busy: Numeric, fraction: float) -> FloatArray:
    """Wait [s] that `fraction` of the requests stay under: the exponential tail of half an M/M/1 wait."""
    mean = service_s / (2.0 * (1.0 - busy))
    return np.asarray(mean * np.log(np.maximum(1.0, busy / (1.0 - fraction))), dtype=np.float64)


def waits_s(
    pass_s: Numeric, alone_s: Numeric, *, running: Numeric, busy: Numeric, fraction: float
) -> tuple[FloatArray, FloatArray]:
    """Wait [s] for a place in a pass, in the mean and for `fraction` of the requests.

    The queue is M/D/1 of prompts that take a pass of `alone_s` each, as far as they keep it `busy`. Passes that carry
    more, or many ranks, are longer: what is over of `pass_s` is waited for as well while one is `running`, half of it
    in the mean and all of it at worst. Nothing of this falls as more prompts come.
    """
    over = np.maximum(0.0, pass_s - alone_s) * running
    return wait_s(alone_s, busy) + 0.5 * over, wait_tail_s(alone_s, busy, fraction) + over
