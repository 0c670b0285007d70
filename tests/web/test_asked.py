"""What was asked, on the page of a result: every field of the question, in the words of its form."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from config.environment import ROOT
from service.schemas.science import APPLICATION_TEMPLATES
from service.schemas.workload import QUESTION, SizingRequestSchema
from service.sizing.workload import Question
from service.web.asked import WhatWasAsked, what_was_asked
from service.web.form import inference, science, training
from service.web.form.of_kind import form_of_question
from service.web.form.reading import body_of
from tests.facts import own_catalog
from tests.web.conftest import text_of

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))
BODIES = {
    **{path.stem: json.loads(path.read_text(encoding="utf-8")) for path in EXAMPLES},
    **{name: body_of(science.form_of(name, name), science.initial(name)) for name in APPLICATION_TEMPLATES},
    "serving": body_of(inference.FORM, inference.INITIAL),
    "training": body_of(training.FORM, training.INITIAL),
}
CHAT = BODIES["inference-chat-llama-3.3-70b"]


@pytest.fixture
def in_app(app) -> Iterator[None]:
    with app.app_context():
        yield


def asked_in(body: Mapping[str, Any]) -> tuple[WhatWasAsked, Mapping[str, Any]]:
    question: Question = SizingRequestSchema().load(body).question
    whole = orjson.loads(orjson.dumps(QUESTION.dump(question)))
    return what_was_asked(question, whole, form_of_question(whole)), whole


def leaves(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place


def values(found: WhatWasAsked) -> dict[str, str]:
    return {line.label: line.value.replace("\u00a0", " ") for line in (*found.lines, *found.unstated)}


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize("name", BODIES)
def test_no_field_of_a_question_is_left_out(name):
    found, whole = asked_in(BODIES[name])
    told = [line.path for line in (*found.lines, *found.unstated)]
    assert len(told) == len(set(told))
    for path in leaves(whole):
        # What is absent as a whole is told by its parts.
        assert path == "workload.kind" or path in told or any(one.startswith(f"{path}.") for one in told), path


@pytest.mark.usefixtures("in_app")
def test_what_was_stated_has_its_unit_and_what_was_not_is_told_as_a_default():
    found, _ = asked_in({**CHAT, "workload": {**CHAT["workload"], "demand": {"users": 5000}, "availability": "n"}})
    stated = {line.label: line.value.replace("\u00a0", " ") for line in found.lines if line.stated}
    assert stated == {
        "Model": "llama-3.3-70b",
        "Users": "5,000",
        "Input tokens, mean": "2,048",
        "Input tokens, 95th percentile": "6,000",
        "Output tokens, mean": "300",
        "Output tokens, 95th percentile": "800",
        "First token (TTFT) within": "1,000 ms",
        "Further tokens (TPOT) within": "40 ms",
        "Weights": "fp8",
        "KV cache": "fp8",
        "Input already cached": "30 %",
        "Cooling": "air",
    }
    usual = {line.label: line.value.replace("\u00a0", " ") for line in found.lines if not line.stated}
    assert usual == {
        "Requests a user makes per hour": "6",
        "Peak over average": "3",
        "For so many in 100 requests": "95",
    }
    rest = {line.label: line.value.replace("\u00a0", " ") for line in found.unstated}
    assert rest["Spare servers"] == "n"
    assert rest["Must suffice for"] == "36 months"
    assert rest["Confidence, at least"] == "80 %"
    assert rest["Serving software"] == ""


@pytest.mark.usefixtures("in_app")
@pytest.mark.parametrize(
    ("name", "label", "value"),
    [
        ("science-folding-boltz-2", "Application", own_catalog().applications["boltz-2"].name),
        ("science-folding-boltz-2", "Targets per day", "2,000"),
        ("science-folding-boltz-2", "Tokens of a target, mean", "900"),
        ("science-folding-boltz-2", "Tokens of a target, 95th percentile", "1,800"),
        ("science-dynamics-gromacs", "Atoms", "1,067,000"),
        ("training-pretrain-llama-3.1-8b", "Tokens to train on", "2 trillion"),
        ("training-pretrain-llama-3.1-8b", "Done within", "30 days"),
        ("training-pretrain-llama-3.1-8b", "Data set", "12 TB"),
        ("inference-moe-deepseek-v3", "Input tokens, 95th percentile", "the mean"),
    ],
)
def test_each_kind_is_told_in_the_words_of_its_form(name, label, value):
    assert values(asked_in(BODIES[name])[0])[label] == value


def test_the_page_of_a_result_tells_what_was_asked(anna, speaker, work):
    run = speaker("acme").post("/v1/workloads", CHAT).json["id"]
    work()
    page = anna.get(f"/runs/{run}").text
    section = page.split('id="asked-title"')[1].split("</section>")[0]
    before, folded = (text_of(part).replace("\u00a0", " ") for part in section.split("<details>"))
    for told in ("Model llama-3.3-70b", "Input tokens, mean 2,048", "Spare servers n+1", "Cooling air"):
        assert told in before
    assert "Growth per year 0 % default" in folded
    assert "Budget for hardware not stated" in folded


def test_the_question_is_told_where_nothing_fits_too(anna, speaker, work):
    slo = {"ttft_ms": 5, "tpot_ms": 1}
    run = speaker("acme").post("/v1/workloads", {"workload": {**CHAT["workload"], "slo": slo}}).json["id"]
    work()
    assert "First token (TTFT) within 5 ms" in text_of(anna.get(f"/runs/{run}").text).replace("\u00a0", " ")


def test_a_changed_question_keeps_the_name_of_its_sizing(anna, speaker, work):
    run = speaker("acme").post("/v1/workloads", CHAT).json["id"]
    work()
    form = anna.get(f"/size/inference?from={run}").text
    assert f'name="name" type="text" value="{CHAT["name"]}"' in form


def test_an_option_tells_the_format_that_it_has_and_not_those_of_others(anna, speaker, work):
    body = {"workload": {**BODIES["inference-moe-deepseek-v3"]["workload"], "model": "llama-3.3-70b"}}
    acme = speaker("acme")
    run = acme.post("/v1/workloads", body).json["id"]
    work()
    result = acme.get(f"/v1/runs/{run}").json["result"]
    formats = {one["value"] for one in result["assumed"] if one["field"] == "workload.weight_precision"}
    assert len(formats) > 1, "no option differs from another in its format"
    for option in result["options"][:4]:
        page = anna.get(f"/runs/{run}?option={option['rank']}").text
        assumed = page.split('<details class="assumed">')[1].split("</details>")[0]
        told = re.findall(r"<th scope=\"row\">Weight[^<]*</th><td>([^<]*)</td>", assumed)
        assert told == [option["weight_precision"]]
