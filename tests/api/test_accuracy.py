"""/v1/accuracy: every published point once, with the prediction that is stored for it, and errors that add up."""

import dataclasses
import json

import pytest
from flask import Flask

from config.environment import ROOT
from service.access import Role
from service.planning.accuracy import predict
from service.schemas.evidence import read_measured
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT


def everything(speaker: Speaker, query: str):
    cursor = ""
    while True:
        page = speaker.get(f"/v1/accuracy?{query}&limit=500" + (f"&cursor={cursor}" if cursor else "")).json
        yield from page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return


@pytest.fixture(scope="module")
def timings():
    found = []
    for path in sorted((ROOT / "config/evidence").glob("*.jsonl")):
        found += [json.loads(text) for text in path.read_bytes().splitlines()]
    return [raw for raw in found if raw["scope"] == "timing"]


def test_every_published_point_stands_there_once(acme: Speaker, timings):
    expected = [(raw["id"], metric) for raw in timings if raw["kind"] == "science" for metric in raw["measured"]]
    assert [(point["id"], point["metric"]) for point in everything(acme, "kind=science")] == expected


def test_a_point_tells_both_numbers_and_where_it_is_from(acme: Speaker, timings):
    (point,) = acme.get("/v1/accuracy?source=trtllm-perf-v1.0&limit=1").json["items"]
    raw = next(raw for raw in timings if raw["id"] == point["id"])
    assert point["measured"] == raw["measured"][point["metric"]]
    assert point["predicted"]["p10"] <= point["predicted"]["p50"] <= point["predicted"]["p90"]
    assert (point["model"], point["gpu"]) == (raw["workload"]["model"], raw["deployment"]["gpu"])
    assert (point["reference"], point["split"], point["published"]) == (
        raw["reference"], raw["split"], raw["published"],
    )  # fmt: skip
    assert point["basis"] in {"measured", "calibrated", "extrapolated"}


@pytest.mark.parametrize(
    "query",
    ["kind=training", "gpu=b300-sxm", "model=qwen3-32b", "precision=fp4", "source=mlperf-v5.1", "split=validation",
     "metric=tpot_ms", "kind=inference&gpu=h200-sxm&metric=ttft_ms", "mode=disaggregated", "id=trtllm-perf-v1.0-0001"],
)  # fmt: skip
def test_filters_choose(query, acme: Speaker):
    (first, *_) = items = acme.get(f"/v1/accuracy?{query}&limit=500").json["items"]
    assert first
    for name, value in (pair.split("=") for pair in query.split("&")):
        assert {item[name] for item in items} == {value}


def test_a_model_is_found_under_its_aliases(acme: Speaker, runtime):
    alias = next(alias for alias, model in runtime.catalog.aliases.items() if model == "deepseek-v3")
    items = acme.get(f"/v1/accuracy?model={alias}&limit=2").json["items"]
    assert {item["model"] for item in items} == {"deepseek-v3"}


@pytest.mark.parametrize(
    ("query", "field", "meant"), [("gpu=B200", "gpu", "b200-sxm"), ("model=DeepSeek V3", "model", "deepseek-v3")]
)
def test_filters_take_the_names_that_questions_take(acme: Speaker, query: str, field: str, meant: str):
    items = acme.get(f"/v1/accuracy?{query}&limit=2").json["items"]
    assert {item[field] for item in items} == {meant}


def test_the_runs_beside_an_option_are_found_by_their_ids(acme: Speaker, work):
    """Every option has some: of its model on its GPU, else of its model elsewhere, else of its GPU."""
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    options = acme.get(f"/v1/runs/{run['id']}").json["result"]["options"]
    assert options
    for option in options:
        for metric in option["metrics"].values():
            assert metric["nearest"]
        near = metric["nearest"][0]
        points = acme.get(f"/v1/accuracy?id={near}").json["items"]
        assert {point["id"] for point in points} == {near}
        assert all(point["measured"] for point in points)


def test_nothing_chosen_is_an_empty_page(acme: Speaker):
    assert acme.get("/v1/accuracy?gpu=abacus").json["items"] == []
    summary = acme.get("/v1/accuracy/summary?gpu=abacus").json
    assert (summary["points"], summary["predicted"], summary["items"]) == (0, 0, [])


def test_pages_go_by_cursor(acme: Speaker):
    first = acme.get("/v1/accuracy?kind=training&limit=2").json
    second = acme.get(f"/v1/accuracy?kind=training&limit=2&cursor={first['next_cursor']}").json
    both = acme.get("/v1/accuracy?kind=training&limit=4").json
    assert [*first["items"], *second["items"]] == both["items"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=knitting", "kind"),
        ("split=validationn", "split"),
        ("gpus=8", "gpus"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
        ("by=gpu", "by"),
    ],
)
def test_a_wrong_query_is_422(query, field, acme: Speaker):
    answer = acme.get(f"/v1/accuracy?{query}")
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json["errors"]} == {field}


def test_a_summary_is_split_by_kind_metric_and_what_is_asked(acme: Speaker):
    summary = acme.get("/v1/accuracy/summary?kind=inference&by=gpu,split").json
    keys = [(item["metric"], item["by"]["gpu"], item["by"]["split"]) for item in summary["items"]]
    assert len(keys) == len(set(keys)) > 10
    assert {item["by"]["kind"] for item in summary["items"]} == {"inference"}
    for item in summary["items"]:
        assert 1 <= item["groups"]["n"] <= item["rows"]["n"]
        assert 0 <= item["rows"]["median_error_fraction"] <= item["rows"]["p90_error_fraction"]
        assert 0 <= item["rows"]["inside_fraction"] <= 1
    whole = acme.get("/v1/accuracy/summary?kind=inference").json
    rows = {item["metric"]: item["rows"]["n"] for item in whole["items"]}
    assert sum(rows.values()) == sum(item["rows"]["n"] for item in summary["items"]) == whole["predicted"]


def test_a_summary_agrees_with_the_points(acme: Speaker):
    query = "kind=science&metric=mlups"
    errors = sorted(abs(p["predicted"]["p50"] / p["measured"] - 1) for p in everything(acme, query))
    (item,) = acme.get(f"/v1/accuracy/summary?{query}").json["items"]
    assert item["rows"]["n"] == len(errors)
    assert item["rows"]["median_error_fraction"] == pytest.approx(errors[len(errors) // 2], rel=0.05, abs=1e-3)


def test_an_unknown_grouping_names_the_nearest(acme: Speaker):
    answer = acme.get("/v1/accuracy/summary?by=gpus")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["did_you_mean"] == ["gpu"]


@pytest.mark.parametrize("path", ["/v1/accuracy?limit=1", "/v1/accuracy/summary"])
def test_a_tag_saves_the_body(path, acme: Speaker):
    first = acme.get(path)
    assert acme.get(path, If_None_Match=first.headers["ETag"]).status_code == 304


@pytest.mark.parametrize("path", ["/v1/accuracy?limit=1", "/v1/accuracy/summary?kind=science"])
@pytest.mark.parametrize("role", list(Role))
def test_whoever_reads_the_catalog_reads_it(role, path, speaker):
    assert speaker("acme", role).get(path).status_code == 200


def test_it_says_what_it_was_made_under_and_when_that_is_stale(acme: Speaker, app: Flask):
    stored = json.loads((ROOT / "config/calibration/accuracy.json").read_bytes())
    runtime = app.extensions["headroom"]
    fresh = dataclasses.replace(
        runtime.catalog.accuracy,
        versions=dataclasses.replace(
            runtime.catalog.accuracy.versions,
            calibration_version=runtime.catalog.calibration.version,
            catalog_version=runtime.catalog.version,
        ),
    )
    answer = acme.get("/v1/accuracy?limit=1").json
    assert {name: answer[name] for name in stored} == stored
    for versions, stale in ((fresh.versions, False), (None, True)):
        accuracy = dataclasses.replace(fresh, versions=versions)
        app.extensions["headroom"] = dataclasses.replace(
            runtime, catalog=dataclasses.replace(runtime.catalog, accuracy=accuracy)
        )
        for path in ("/v1/accuracy?limit=1", "/v1/accuracy/summary?kind=science"):
            assert acme.get(path).json["stale"] is stale


def test_the_stored_predictions_are_those_that_the_engine_makes(runtime, timings):
    """scripts/validate --help says how they are written anew."""
    stored = {(point.id, point.metric): point for point in runtime.catalog.accuracy.points}
    for raw in timings[::40]:
        for found in predict(runtime.catalog, read_measured(raw)):
            point = stored[raw["id"], found.metric]
            assert (point.refused, point.fits, point.basis) == (found.refused, found.fits, found.basis), raw["id"]
            if found.interval is not None:
                for name in ("p10", "p50", "p90"):
                    expected = getattr(found.interval, name)
                    assert getattr(point.predicted, name) == pytest.approx(expected, rel=1e-4), (raw["id"], name)
