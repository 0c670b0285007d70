"""The columns of a table are the fields of workloads: all of them, and no others."""

import json

import pytest

from config.environment import ROOT
from service.errors import InvalidRequestError
from service.schemas.columns import check_columns

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))


def columns(body, before=""):
    for name, value in body.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from columns(value, f"{before}{name}.")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_field_of_an_example_may_be_a_column(path):
    check_columns(columns(json.loads(path.read_text())))


def test_what_a_field_judges_itself_lies_at_any_depth():
    check_columns(["labels.team", "labels.a.b", "workload.model.hf_config.hidden_size", "workload.isl_tokens.p95"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("model", "workload.model"),
        ("workload.demand.request_s", "workload.demand.requests_s"),
        ("constraint.max_racks", "constraints.max_racks"),
        ("workload.isl_tokens.p99", "workload.isl_tokens.p95"),
    ],
)
def test_the_nearest_field_is_named(name, meant):
    with pytest.raises(InvalidRequestError) as told:
        check_columns(["name", name])
    assert told.value.detail.errors[0].did_you_mean[0] == meant


@pytest.mark.parametrize("name", ["workload.tokens.x", "notes", "name.first"])
def test_what_no_workload_has_is_refused(name):
    with pytest.raises(InvalidRequestError, match="names no field of any workload"):
        check_columns([name])


def test_of_many_strangers_the_first_are_told():
    with pytest.raises(InvalidRequestError, match="So do 20 more") as told:
        check_columns([f"stranger{number}" for number in range(30)])
    assert len(told.value.detail.errors) == 10
