"""Kept: finished runs and their answers in this process, as bytes. They never change, so they are never stale."""

from collections.abc import Callable
from typing import NamedTuple

from service.packed import Packed
from service.shelf import Shelf


class KeptRun(NamedTuple):
    """A done run without its answer, as callers read it, and the digest under which the answer is kept."""

    summary: bytes
    digest: str


# What a small entry takes beside its text: keys, tuples, the cache's own books.
_ENTRY_BYTES = 600


class Kept:
    """At most so many bytes of answers, and a tenth of that of runs, and of answers by gzip; the least recently read go
    first.

    All are found by tenant and id, so no tenant reads another's.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._answers: Shelf[tuple[str, str], bytes] = Shelf(most_bytes=most_bytes)
        self._runs: Shelf[tuple[str, str], KeptRun] = Shelf(most_bytes=max(1, most_bytes // 10))
        self._packed: Shelf[tuple[str, str], Packed] = Shelf(most_bytes=max(1, most_bytes // 10))

    def answer(self, tenant_id: str, digest: str) -> bytes | None:
        """The answer to a question of the tenant, as callers read it."""
        return self._answers.get((tenant_id, digest))

    def run(self, tenant_id: str, run_id: str) -> KeptRun | None:
        """A done run of the tenant."""
        return self._runs.get((tenant_id, run_id))

    def keep_answer(self, tenant_id: str, digest: str, body: bytes) -> None:
        """Keep an answer that is committed."""
        # Answers never change.
        if self.answer(tenant_id, digest) is None:
            self._answers.put((tenant_id, digest), body, size_bytes=len(body) + _ENTRY_BYTES)

    def keep_run(self, tenant_id: str, run_id: str, run: KeptRun) -> None:
        """Keep a run that is done and committed."""
        self._runs.put((tenant_id, run_id), run, size_bytes=len(run.summary) + _ENTRY_BYTES)

    def packed(self, tenant_id: str, digest: str, pack: Callable[[], Packed]) -> Packed:
        """An answer by gzip, compressed when it is first asked for so."""
        found = self._packed.get((tenant_id, digest))
        if found is None:
            found = pack()
            self._packed.put((tenant_id, digest), found, size_bytes=found.size_bytes + _ENTRY_BYTES)
        return found
