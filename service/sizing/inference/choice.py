"""Number format and serving mode where the engine may choose: of every server, what each of them takes."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.formats import Formats
from service.sizing.inference.groups import Group
from service.sizing.table import BoolArray, FloatArray, IntArray
from service.sizing.workload import Serving

_MODES = (Serving.AGGREGATED, Serving.DISAGGREGATED)
_TIES = (
    "of equals the one stands that was measured far more often",
    "of equals the one stands that is faster at the asked confidence",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """The least that each format and mode takes on each server, (formats, modes, servers); inf where nothing will do.

    In servers, or in servers per unit of output where the GPUs are given. Formats stand widest first; `tried` (formats,
    servers) leaves out what the GPU of a server does not multiply.
    """

    formats: tuple[Formats, ...]
    best: FloatArray
    tried: BoolArray
    by_output: bool

    def places(self, groups: list[Group]) -> IntArray:
        """Of each group the place of its format."""
        return np.array([self.formats.index(group.formats) for group in groups], dtype=np.int64)

    def preferred(self, margin: float) -> IntArray:
        """Of each server the widest format that takes at most `margin` more than the one that takes least."""
        least = self.best.min(axis=1)
        return np.asarray(np.argmax(least <= least.min(axis=0) * (1.0 + margin), axis=0), dtype=np.int64)

    def stands(
        self,
        groups: list[Group],
        *,
        group: IntArray,
        server: IntArray,
        cost: FloatArray,
        speed: FloatArray,
        margin: float,
    ) -> BoolArray:
        """Candidates in the format that their server is offered in.

        Of modes that take equally much the aggregated, unless the other is faster; `speed` is that at the asked
        confidence, so that a mode of which less is known has to be faster by as much.
        """
        place = self.places(groups)[group]
        pooled = np.array([g.disaggregated for g in groups], dtype=np.bool_)[group]
        equal = cost == self.best[place, 0, server]
        fastest = np.zeros(self.best.shape[::2])
        alike = equal & ~pooled
        np.maximum.at(fastest, (place[alike], server[alike]), speed[alike])
        slow = pooled & equal & (speed <= fastest[place, server])
        return np.asarray((place == self.preferred(margin)[server]) & ~slow, dtype=np.bool_)

    def notes(self, group: Group, *, server: int, servers: int, mode_asked: bool) -> tuple[str, ...]:
        """What an option's format and mode were preferred to, and by how much."""
        mode, place = int(group.disaggregated), self.formats.index(group.formats)
        # An option that is there for its speed may take more than its format and mode have to.
        mine = float(self.best[place, mode, server])
        found = []
        if not mode_asked:
            other = float(self.best[place, 1 - mode, server])
            told = self._compared("serving", (_MODES[mode], mine), [(_MODES[1 - mode], other)])
            found.append(f"{told}; {_TIES[mode]}" if other == mine else told)
        others = [
            (str(one.weight), float(self.best[at, :, server].min()))
            for at, one in enumerate(self.formats)
            if at != place and self.tried[at, server]
        ]
        if others:
            found.append(self._compared("weight_precision", (str(group.formats.weight), mine), others))
        if found and not self.by_output and servers > mine:
            found.append(f"{servers} servers for the speed of a user, {mine:g} would carry the demand")
        return tuple(found)

    def _compared(self, field: str, mine: tuple[str, float], others: list[tuple[str, float]]) -> str:
        name, least = mine
        if self.by_output:
            told = [_times(other, cost / least) for other, cost in others]
            return f"{field}: {name}; for the same output {', '.join(told)}"
        told = [_servers(other, cost) for other, cost in others]
        return f"{field}: {name} takes {least:g} server{'' if least == 1.0 else 's'}, {', '.join(told)}"


def _servers(name: str, cost: float) -> str:
    return f"{name} {cost:g}" if np.isfinite(cost) else f"{name} meets the target in no layout"


def _times(name: str, ratio: float) -> str:
    return f"{name} takes {ratio:.3g} times as many" if np.isfinite(ratio) else f"{name} fits in no layout"


def contest_of(
    groups: list[Group], *, group: IntArray, server: IntArray, cost: FloatArray, servers: int, by_output: bool
) -> Contest:
    """What the feasible candidates say; `group`, `server` and `cost` are one per candidate, of so many `servers`."""
    formats = tuple(sorted({g.formats for g in groups}, key=lambda one: one.width, reverse=True))
    best = np.full((len(formats), len(_MODES), servers), np.inf)
    contest = Contest(
        formats=formats, best=best, tried=np.zeros((len(formats), servers), np.bool_), by_output=by_output
    )
    for place, one in zip(contest.places(groups).tolist(), groups, strict=True):
        contest.tried[place, one.servers] = True
    mode = np.array([int(g.disaggregated) for g in groups], dtype=np.int64)
    np.minimum.at(best, (contest.places(groups)[group], mode[group], server), cost)
    return contest
