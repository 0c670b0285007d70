"""Dashboard and alerts: every metric and label that they name is one that the service tells."""

import itertools
import json
import re

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from config.environment import ROOT
from service.edge.problems import problem_kinds
from service.metrics import Lookup, Mended
from service.store.tables.batches import ItemState

FOLDER = ROOT / "config" / "grafana"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]
# What Prometheus itself knows of whom it scrapes.
OWN = {"up"}
_METRIC = re.compile(r"\b(headroom_[a-z_]+)(\{[^}]*\})?")
_LABELS = {
    "what": {what.value for what in Mended},
    "result": {result.value for result in Lookup},
    "status": {"5xx", "queued", "running"},
    "role": {"worker", "dispatcher", "deliverer"},
    "split": {"validation", "calibration"},
    "predicted": {"yes", "no"},
    "outcome": {"done", "error", "unavailable", "engine_error", "time_limit", "feasible", "infeasible"},
    "route": {"/v1/runs/<run_id>"},
    "code": set(problem_kinds()),
    "limit": {"reads", "writes", "unknown"},
    "state": {state.value for state in ItemState},
}


@pytest.fixture
def told(client):
    """Every name that a scrape can hold, whether anything was counted under it yet or not."""
    names = set()
    for family in text_string_to_metric_families(client.get("/metrics").text):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_every_metric_that_is_named_is_told(told):
    named = {metric for expression in EXPRESSIONS for metric, _ in _METRIC.findall(expression)}
    assert len(named) > 15
    assert named <= told
    for expression in EXPRESSIONS:
        assert _METRIC.search(expression) or any(name in expression for name in OWN), expression


def test_every_metric_that_is_told_is_shown(told):
    shown = {metric.removesuffix("_bucket") for e in EXPRESSIONS for metric, _ in _METRIC.findall(e)}
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in told}
    assert {name for name in families if name.startswith("headroom_") and not name.endswith("_created")} <= shown


def test_every_label_has_values_that_there_are():
    for expression in EXPRESSIONS:
        for _, matchers in _METRIC.findall(expression):
            for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                assert set(values.split("|")) <= _LABELS[label], expression


def test_what_an_alert_waits_for_once_is_told_before_it_happens(client):
    """The first event makes no rise of a series that begins with it."""
    samples = [
        (sample.name, sample.labels)
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    ]
    waited_for = [
        found for rule in RULES for found in re.findall(r"increase\((headroom_[a-z_]+)\{([^}]*)\}", rule["expr"])
    ]
    assert len(waited_for) >= 6
    for metric, matchers in waited_for:
        alternatives = {label: values.split("|") for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers)}
        for values in itertools.product(*alternatives.values()):
            wanted = dict(zip(alternatives, values, strict=True))
            assert any(name == metric and wanted.items() <= labels.items() for name, labels in samples), wanted


def test_every_alert_has_its_words_and_no_other_has():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    runbook = (ROOT / "README.md").read_text(encoding="utf-8").partition("**When an alert fires**")[2]
    told = re.findall(r"^\| `(Headroom\w+)` \|", runbook, flags=re.MULTILINE)
    assert told == names
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


def test_panels_have_places_of_their_own():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = set(itertools.product(columns, lines))
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
