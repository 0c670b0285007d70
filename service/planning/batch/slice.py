"""A slice: what one look at a chunk comes to, stored in one transaction."""

from collections import Counter
from dataclasses import dataclass, field

from service.planning.batch.asking import Asked, name_in
from service.planning.batch.brief import Brief
from service.store import batches
from service.store.chunks import EndedItem, OpenItem
from service.store.tables.batches import ItemState


@dataclass(slots=True)
class Slice:
    """Ends of items and the answers that they rest on."""

    ended: list[EndedItem] = field(default_factory=list)
    answers: dict[str, Brief] = field(default_factory=dict)
    # The states of those whose question had an answer already.
    reused: list[str] = field(default_factory=list)

    def end(
        self,
        item: OpenItem,
        state: ItemState,
        *,
        of: Asked | None = None,
        problem: str | None = None,
        code: str | None = None,
    ) -> None:
        """One more item has its end."""
        self.ended.append(
            EndedItem(
                line=item.line,
                state=state,
                name=name_in(item.asked) if of is None else of.name,
                kind=None if of is None else of.kind,
                digest=None if of is None else of.digest,
                error_code=code,
                problem=problem,
            )
        )

    def counts(self) -> batches.Ended:
        """The ends by state."""
        by_state = Counter(one.state.value for one in self.ended)
        names = ("done", "infeasible", "refused", "failed")
        return batches.Ended(**{name: by_state[name] for name in names}, reused_items=len(self.reused))
