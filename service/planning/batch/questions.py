"""The questions of a chunk's items: read, refused where they cannot be sized, and looked up where they are answered."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from service.planning.batch.asking import REFUSALS, Asked, asked, problem_of
from service.planning.batch.brief import of_answer
from service.planning.batch.pace import Pace
from service.planning.batch.slice import Slice
from service.planning.transact import read
from service.runtime import Runtime
from service.store import batch_answers, results
from service.store.chunks import OpenItem
from service.store.runs import Versions
from service.store.tables.batches import ItemState

Open = tuple[OpenItem, Asked]

# Items are read and looked up so many at a time, so that a person does not wait for all of a chunk to be read.
_READ_TOGETHER = 100


class Questions:
    """The questions of one tenant; `known` says of those that have an answer whether it is feasible."""

    def __init__(self, runtime: Runtime, tenant_id: str, versions: Versions) -> None:
        self._runtime, self._tenant_id, self._versions = runtime, tenant_id, versions
        self.known: dict[str, bool] = {}

    def read(self, part: Slice, items: Sequence[OpenItem], pace: Pace) -> list[Open]:
        """What can be sized of the items, those of one model after another; what is read when somebody waits."""
        found: list[Open] = []
        for start in range(0, len(items), _READ_TOGETHER):
            if start and pace.waited_for():
                break
            found += self.of_items(part, items[start : start + _READ_TOGETHER])
        return sorted(found, key=lambda pair: (pair[1].kind, _subject(pair[1])))

    def of_items(self, part: Slice, items: Sequence[OpenItem]) -> list[Open]:
        """The items that can be sized, with what is known of their answers looked up; the others are refused."""
        found = []
        for item in items:
            try:
                found.append((item, asked(self._runtime, item.asked, self._versions)))
            except REFUSALS as error:
                part.end(item, ItemState.REFUSED, code=error.code, problem=problem_of(error))
        self._look_up(part, list(dict.fromkeys(of.digest for _, of in found)))
        return found

    def _look_up(self, part: Slice, digests: list[str]) -> None:
        def look(session: Session) -> tuple[dict[str, bool], dict[str, bytes]]:
            known = batch_answers.known_answers(session, self._tenant_id, digests)
            by_runs = batch_answers.stored_results(
                session, self._tenant_id, [one for one in digests if one not in known]
            )
            bodies = {digest: results.body(session, self._tenant_id, digest) for digest in by_runs}
            return known, {digest: body for digest, body in bodies.items() if body is not None}

        known, bodies = read(self._runtime, look)
        for digest, body in bodies.items():
            part.answers[digest] = brief = of_answer(body, versions=self._versions)
            known[digest] = brief.feasible
        self.known |= known


def _subject(of: Asked) -> str:
    """What questions have in common that share tables: their model or application."""
    if of.resolved.architecture is not None:
        return of.resolved.architecture.id
    return "" if of.resolved.application is None else of.resolved.application.id
