"""A posted workload and the run that answers for it: what POST /v1/workloads makes, waits for and answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from service.api.runs import RETRY_AFTER_S
from service.edge.context import caller, request_id, runtime
from service.edge.waiting import as_preferred, asked_wait_s
from service.planning.idempotency import FirstAnswer, Once
from service.planning.reading import get_run, run_answer
from service.planning.submit import submit
from service.planning.view import RunView
from service.schemas.workload import SizingRequest
from service.store.tables.runs import OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedRun:
    """The posting of one workload."""

    request: SizingRequest

    @property
    def wait_s(self) -> float:
        """The wait that the caller prefers [s]."""
        return asked_wait_s()

    def make(self, once: Once[RunView] | None = None) -> RunView:
        """The workload and its run."""
        return submit(runtime(), caller(), self.request, request_id=request_id(), once=once)

    def settled(self, made: RunView) -> bool:
        """A run that has ended is not waited for."""
        return made.status not in OPEN

    def wait(self, made: RunView) -> tuple[RunView, Mapping[str, str]]:
        """The run after the wait that the caller prefers."""
        return as_preferred(made)

    def answer(self, made: RunView, waited: Mapping[str, str]) -> FirstAnswer:
        """A run that has ended changes no more, and its result is long: it is kept once."""
        headers = {"Location": f"/v1/runs/{made.id}", **waited}
        if made.status not in OPEN:
            return FirstAnswer(status=HTTPStatus.OK, headers=headers, body=None)
        headers["Retry-After"] = RETRY_AFTER_S
        return FirstAnswer(status=HTTPStatus.ACCEPTED, headers=headers, body=self.body(made))

    def read(self, resource_id: str) -> RunView:
        """The run as it is now."""
        return get_run(runtime(), caller(), resource_id)

    def body(self, made: RunView) -> bytes:
        """The run as callers read it."""
        return run_answer(runtime(), made).body
