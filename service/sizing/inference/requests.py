"""Requests: what a serving instance is asked for, of one question, or of several whose candidates stand together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.sizing.inference.lines import Lengths
from service.sizing.inference.steady import Stream
from service.sizing.joint import one_column
from service.sizing.numeric import Column, Numeric
from service.sizing.workload import SpeculativeDecoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One request in the mean, and the tails that a percentile asks for; tokens.

    `closed_loop`: a fixed number of clients, each sending its next request when the last one ends. Otherwise requests
    arrive independently. `alike`: all of them have these very lengths, and take the same number of steps.
    """

    isl_tokens: float
    osl_tokens: float
    isl_tail_tokens: float
    hit_fraction: float
    percentile_fraction: float
    speculative: SpeculativeDecoding | None
    closed_loop: bool = False
    alike: bool = False

    @property
    def new_tokens(self) -> float:
        """Prompt tokens that the prefix cache does not hold, in the mean."""
        return max(1.0, self.isl_tokens * (1.0 - self.hit_fraction))

    @property
    def accepted_tokens(self) -> float:
        """Tokens gained per decode step: 1 + a + a^2 ... for a draft of n tokens (Leviathan, Kalman, Matias 2023)."""
        if self.speculative is None:
            return 1.0
        accept, draft = self.speculative.acceptance_fraction, self.speculative.draft_tokens
        if accept >= 1.0:
            return draft + 1.0
        return float((1.0 - accept ** (draft + 1)) / (1.0 - accept))

    @property
    def decode_context_tokens(self) -> float:
        """Context of a sequence in the middle of its decode."""
        return self.isl_tokens + 0.5 * self.osl_tokens

    @property
    def query_tokens(self) -> float:
        """Tokens that one decode step verifies per sequence."""
        return 1.0 if self.speculative is None else 1.0 + self.speculative.draft_tokens

    @property
    def stream(self) -> Stream:
        """The same as the steady state takes it."""
        return Stream(
            new_tokens=self.new_tokens,
            tail_tokens=max(1.0, self.isl_tail_tokens * (1.0 - self.hit_fraction)),
            osl_tokens=self.osl_tokens,
            accepted_tokens=self.accepted_tokens,
            closed=1.0 if self.closed_loop else 0.0,
            alike_fraction=1.0 if self.alike and self.speculative is None else 0.0,
            tail_fraction=self.percentile_fraction,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointTraffic:
    """The same of several questions: a number that all of them share, or a column with a row per candidate.

    They look at one percentile, and arrive in one way: those stay numbers.
    """

    isl_tokens: Column
    osl_tokens: Column
    new_tokens: Column
    accepted_tokens: Column
    query_tokens: Column
    decode_context_tokens: Column
    percentile_fraction: float
    stream: Stream


Requests = Traffic | JointTraffic


def joint_traffic(each: Sequence[Traffic], sizes: Sequence[int]) -> Requests:
    """Of so many candidates each."""
    first = each[0]
    return first if all(one == first for one in each) else _joint(tuple(each), tuple(sizes))


@lru_cache(maxsize=8)
def _joint(each: tuple[Traffic, ...], sizes: tuple[int, ...]) -> JointTraffic:
    """One and the same for both modes of serving, so that what follows from it is settled once."""
    first = each[0]

    def column(values: Sequence[Numeric]) -> Column:
        return one_column(values, sizes)

    streams = [one.stream for one in each]
    accepted = column([stream.accepted_tokens for stream in streams])
    return JointTraffic(
        isl_tokens=column([one.isl_tokens for one in each]),
        osl_tokens=column([one.osl_tokens for one in each]),
        new_tokens=column([one.new_tokens for one in each]),
        accepted_tokens=accepted,
        query_tokens=column([one.query_tokens for one in each]),
        decode_context_tokens=column([one.decode_context_tokens for one in each]),
        percentile_fraction=first.percentile_fraction,
        stream=Stream(
            new_tokens=column([stream.new_tokens for stream in streams]),
            tail_tokens=column([stream.tail_tokens for stream in streams]),
            osl_tokens=column([stream.osl_tokens for stream in streams]),
            accepted_tokens=accepted,
            closed=streams[0].closed,
            alike_fraction=column([stream.alike_fraction for stream in streams]),
            tail_fraction=streams[0].tail_fraction,
        ),
    )


@lru_cache(maxsize=16)
def lengths_of(requests: Requests) -> Lengths:
    """What passes are made of: one and the same for all batches, so that what follows from it is settled once."""
    return Lengths(
        query_tokens=requests.query_tokens,
        context_tokens=requests.decode_context_tokens,
        prompt_tokens=requests.new_tokens,
        cached_tokens=requests.isl_tokens - requests.new_tokens,
    )
