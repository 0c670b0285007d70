"""A preview is the answer that a posted workload gets, and leaves nothing behind."""

import orjson
import pytest
from sqlalchemy import func, select

from service.errors import ConflictError, InvalidRequestError, NotFoundError, UnknownReferenceError
from service.planning.answer import answer
from service.planning.execute import execute
from service.planning.preview import answered_run, preview
from service.planning.submit import submit
from service.planning.transact import read
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.workloads import WorkloadRow
from tests.planning.conftest import chat


def count(runtime, table) -> int:
    return read(runtime, lambda session: session.scalar(select(func.count()).select_from(table)))


def test_it_is_the_answer_of_a_workload_and_nothing_is_written(runtime, caller):
    seen = preview(runtime, caller, chat(), request_id="r")
    assert [count(runtime, table) for table in (WorkloadRow, RunRow, ResultRow)] == [0, 0, 0]
    run = submit(runtime, caller, chat(), request_id="r")
    assert seen.digest == run.digest
    posted = orjson.loads(answer(runtime, run.question.decode()).stored.body)
    assert [option["server"] for option in posted["options"]] == [one.server for one in seen.priced.result.options]


def test_asked_again_it_is_the_same_answer(runtime, caller):
    first, second = (preview(runtime, caller, chat(), request_id="r") for _ in range(2))
    assert first.priced is second.priced


def test_what_a_posting_would_be_told_a_preview_is_told(runtime, caller):
    with pytest.raises(UnknownReferenceError) as unknown:
        preview(runtime, caller, chat(model="lama"), request_id="r")
    assert unknown.value.detail.errors[0].field == "workload.model"
    with pytest.raises(InvalidRequestError):
        preview(runtime, caller, chat(isl_tokens=9_000_000), request_id="r")


def test_a_run_is_read_once_it_is_done_and_by_its_tenant_alone(runtime, caller, stranger):
    run = submit(runtime, caller, chat(), request_id="r")
    with pytest.raises(ConflictError):
        answered_run(runtime, caller, run.id)
    assert execute(runtime, run.id)
    assert answered_run(runtime, caller, run.id).priced.result.options
    with pytest.raises(NotFoundError):
        answered_run(runtime, stranger, run.id)
