"""A run is written by the short way as its schema writes it."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from service.planning.view import RunError, RunView
from service.schemas.run import RunSummarySchema, SummaryForm, summary_json
from service.store.runs import Versions
from service.store.tables.runs import RunStatus

AT = datetime(2026, 5, 9, 7, 35, 25, 123456, tzinfo=UTC)
DONE = RunView(
    id="run_1",
    workload_id="wkl_1",
    workload_version=2,
    tenant_id="ten_1",
    status=RunStatus.DONE,
    kind="inference",
    digest="d",
    cached=True,
    feasible=False,
    attempts=1,
    progress_fraction=1.0,
    created_at=AT,
    started_at=AT.replace(microsecond=0),
    finished_at=AT.replace(microsecond=100),
    error=None,
    versions=Versions(catalog="c", calibration="k", engine="1", price_book_digest=None),
    request_id="r",
    question=b"{}",
    result=b"{}",
)


@pytest.mark.parametrize(
    "run",
    [
        DONE,
        replace(DONE, status=RunStatus.QUEUED, feasible=None, progress_fraction=0.0, started_at=None, finished_at=None),
        replace(DONE, progress_fraction=0.25, versions=replace(DONE.versions, price_book_digest="p")),
        replace(DONE, status=RunStatus.FAILED, error=RunError(code="poison", message='a "word"\nand é')),
    ],
    ids=["done", "queued", "under way", "failed"],
)
def test_the_summary_is_what_the_schema_says(run):
    assert summary_json(run) == orjson.dumps(RunSummarySchema().dump(run))


@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0)], ids=["with a fraction", "without"])
def test_a_form_that_is_filled_in_is_the_summary(at):
    asked = replace(DONE, started_at=AT, finished_at=AT, versions=replace(DONE.versions, catalog="100 % of c"))
    other = replace(asked, id="run_2", workload_id="wkl_2", created_at=at, started_at=at, finished_at=at)
    form = SummaryForm(asked)
    assert form.summary(run_id="run_2", workload_id="wkl_2", at=at) == summary_json(other)
    assert form.summary(run_id="run_1", workload_id="wkl_1", at=AT) == summary_json(asked)
