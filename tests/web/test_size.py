"""The form: it opens with an answer, tells what is wrong beside the field, and loses nothing that was typed."""

import html
import json
import re

import pytest

from config.environment import ROOT
from service.schemas.science import APPLICATION_TEMPLATES
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadRow
from service.web.form import inference, training
from tests.schemas.requests import CHAT
from tests.web.conftest import text_of

KINDS = ["inference", "training", "science", *(f"science?application={name}" for name in APPLICATION_TEMPLATES)]


def fault(page: str, field: str) -> str:
    found = re.search(rf'<div class="fault" id="fault-{re.escape(field)}".*?</div>', page, flags=re.DOTALL)
    assert found, field
    return text_of(found[0]).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_opens_with_an_answer(anna, kind):
    page = anna.get(f"/size/{kind}")
    assert page.status_code == 200
    headline = re.search(r'<p class="headline[^"]*">(.*?)</p>', page.text)[1]
    assert "waits for" not in headline, text_of(page.text)
    assert "None" not in headline


def test_the_answer_follows_the_form_and_leaves_no_rows(anna, session):
    small = anna.post("/size/inference/answer", inference.INITIAL, HX_Request="true")
    large = anna.post(
        "/size/inference/answer", {**inference.INITIAL, "workload.demand.users": "500,000"}, HX_Request="true"
    )
    assert small.status_code == large.status_code == 200
    servers = [int(re.search(r'headline">(\d+)', page.text)[1]) for page in (small, large)]
    assert servers[0] < servers[1]
    assert "<html" not in small.text
    assert session.query(WorkloadRow).count() == session.query(RunRow).count() == 0


def test_what_is_wrong_is_told_beside_its_field_with_what_was_meant(anna):
    wrong = {**inference.INITIAL, "workload.model": "lama-3.3-70b"}
    page = anna.post("/size/inference/answer", wrong)
    assert 'data-value="llama-3.3-70b"' in page.text
    assert "no model of this name" in fault(page.text, "workload-model")
    wrong = {**inference.INITIAL, "workload.isl_tokens.mean": "many", "workload.slo.ttft_ms": "-3"}
    page = anna.post("/size/inference/answer", wrong)
    assert "Must be a number" in fault(page.text, "workload-isl-tokens-mean")
    assert "at least" in fault(page.text, "workload-slo-ttft-ms")
    assert not fault(page.text, "workload-model")


def test_nothing_that_was_typed_is_lost(anna):
    typed = {
        **inference.INITIAL,
        "workload.model": "<b>no such & model</b>",
        "workload.isl_tokens.mean": "a lot",
        "constraints.max_rack_kw": "17",
        "constraints.cooling": "steam",
        "name": 'the "first" <try>',
        "pasted": '{"model_type": ',
    }
    page = anna.post("/size/inference", typed)
    assert page.status_code == 422
    for value in typed.values():
        assert html.escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page.text, value
    assert "not JSON" in fault(page.text, "pasted")


@pytest.mark.parametrize(
    ("field", "typed", "near"),
    [("workload.demand.users", "5.000", ["5000", "5"]), ("constraints.max_budget_usd", "$1.250", ["1250", "1.25"])],
)
def test_a_dot_before_three_digits_is_asked_about(anna, field, typed, near):
    wrong = {**inference.INITIAL, field: typed, "workload.slo.ttft_ms": "-3"}
    page = anna.post("/size/inference/answer", wrong)
    beside = field.replace(".", "-").replace("_", "-")
    assert f"{typed} may be {near[0]} or {near[1]}: choose one." in fault(page.text, beside)
    assert re.findall(rf'data-fill="{field}" data-value="([^"]+)"', page.text) == near
    assert "at least" in fault(page.text, "workload-slo-ttft-ms")
    alone = {**inference.INITIAL, field: typed}
    assert anna.post("/size/inference", alone).status_code == 422


def test_a_dot_before_three_digits_is_that_of_a_decimal_where_nothing_else_can_be_meant(anna):
    typed = {**inference.INITIAL, "constraints.pue": "1.125", "constraints.max_rack_kw": "40.0"}
    assert 'class="headline' in anna.post("/size/inference/answer", typed).text


def test_a_share_that_was_typed_in_percent_is_asked_about(anna):
    field = "constraints.min_confidence_fraction"
    page = anna.post("/size/inference/answer", {**inference.INITIAL, field: "80"})
    assert f'data-fill="{field}" data-value="80 %"' in page.text


@pytest.mark.parametrize(
    ("pasted", "told"),
    [('{"model_type": "llama", "hidden_size": 8, "vocab_size": 9, "intermediate_size": 9, "num_attention_heads": 2}',
      "num_hidden_layers: this member is missing"),
     ("{}", "The pasted JSON is empty"), ('{"model_type": "llam', "Unterminated string starting at line 1")],
)  # fmt: skip
def test_what_is_wrong_with_what_was_pasted_is_told_beside_it(anna, pasted, told):
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "pasted": pasted})
    assert told in fault(page.text, "pasted")
    assert not fault(page.text, "workload-model")


def test_a_context_that_is_too_short_is_told_with_its_length(anna):
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.isl_tokens.mean": "900000"})
    told = fault(page.text, "workload-isl-tokens-mean")
    assert "900,300 tokens together, and the context of the model is 131,072" in told


def test_a_fraction_of_a_user_is_shown_as_it_was_typed(anna):
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.demand.users": "12.5"})
    assert "12.5 users" in text_of(page.text)


def test_a_group_of_which_nothing_is_given_says_so(anna):
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.demand.users": ""})
    assert "exactly one" in fault(page.text, "workload-demand")


@pytest.mark.parametrize("kind", ["inference", "training"])
def test_a_kept_sizing_is_a_workload_with_its_run(anna, session, work, kind):
    initial = {"inference": inference, "training": training}[kind].INITIAL
    answer = anna.post(f"/size/{kind}", {**initial, "name": "for the board"})
    assert answer.status_code == 303
    assert re.fullmatch(r"/runs/run_\w+", answer.headers["Location"])
    assert work() == 1
    [workload] = session.query(WorkloadRow)
    assert (workload.name, workload.kind) == ("for the board", kind)


def test_a_pasted_question_fills_the_form(anna):
    page = anna.post("/size/training/answer", {"pasted": json.dumps(CHAT)}, HX_Request="true")
    assert page.headers["HX-Retarget"] == "#question"
    assert 'action="/size/inference"' in page.text
    for value in ("llama-3.3-70b", "5000", "2048", "6000", "support-chat", "poweredge-xe9780, poweredge-xe7745"):
        assert f'value="{value}"' in page.text or value in page.text, value
    assert re.search(r'value="n\+1" selected', page.text)
    assert 'id="answer"' in page.text
    assert 'action="/size/inference"' in anna.post("/size/training", {"pasted": json.dumps(CHAT)}).text


@pytest.mark.parametrize("kind", [[], {}, 7, None, "chess"])
def test_a_pasted_question_of_no_kind_stays_in_the_form_that_it_was_pasted_into(anna, kind):
    page = anna.post("/size/training/answer", {"pasted": json.dumps({"workload": {"kind": kind}})})
    assert page.status_code == 200
    assert 'action="/size/training"' in page.text


def test_an_application_that_there_is_not_is_named_and_no_other_answers_for_it(anna):
    for page in (
        anna.get("/size/science?application=bolz-2"),
        anna.post("/size/science/answer", {"workload.application": "bolz-2"}),
    ):
        assert page.status_code == 404
        assert "There is no scientific application &#39;bolz-2&#39;. Did you mean boltz-2?" in page.text
    question = {"workload": {"kind": "science", "application": "bolz-2", "targets_day": 5, "tokens": 900}}
    pasted = anna.post("/size/inference/answer", {"pasted": json.dumps(question)})
    assert "Did you mean boltz-2?" in fault(pasted.text, "pasted")


def test_a_pasted_configuration_stands_for_the_model(anna):
    config = {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
    }  # fmt: skip
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "pasted": json.dumps(config)})
    assert "waits for" not in page.text
    assert "not the one that is named: 8.03\u00a0billion parameters, in 32\u00a0layers." in page.text
    page = anna.post(
        "/size/inference/answer", {**inference.INITIAL, "pasted": json.dumps({**config, "hidden_size": 0})}
    )
    assert fault(page.text, "pasted")


def test_an_answer_takes_as_many_queries_as_a_session_needs(anna, runtime, counted):
    anna.get("/size/inference")
    with counted() as statements:
        anna.get("/size/inference")
    assert [one for one in statements if one != "BEGIN"] == [statements[-1]], statements


EXAMPLES = sorted(
    path for path in (ROOT / "config" / "examples").glob("*.json") if "workload" in json.loads(path.read_bytes())
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_can_be_pasted_and_is_answered(anna, path):
    text = path.read_text(encoding="utf-8")
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "pasted": text}, HX_Request="true").text
    assert "waits for" not in page, text_of(page)
    assert f'action="/size/{json.loads(text)["workload"]["kind"]}"' in page


def test_a_pasted_question_chooses_what_its_demand_is_given_as(anna):
    demand = {"requests_s": 10}
    question = {"workload": {**CHAT["workload"], "demand": demand}}
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "pasted": json.dumps(question)}).text
    assert re.search(r'name="workload.demand" value="requests_s" checked', page)
    assert re.search(r'data-alternative="users" hidden', page)
    assert re.search(r'data-alternative="requests_s">', page)


def test_country_and_day_say_that_they_change_nothing_here(anna):
    page = anna.get("/size/inference").text
    assert "Changes nothing here: its export rules are screened in the quote." in page
    assert "Changes nothing here: lead times are looked at in the quote." in page


def test_sentences_name_fields_and_servers_as_people_do(anna):
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.demand.users": "0"}).text
    assert "Users : Must be" in text_of(page)
    assert "workload.demand.users: Must" not in text_of(page)
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.slo.tpot_ms": "0.01"}).text
    way_out = text_of(re.search(r'<p class="way-out">.*?</p>', page, flags=re.DOTALL)[0])
    told = r"With \u201cFurther tokens \(TPOT\) within\u201d of [\d.]+ ms, PowerEdge \w+ \("
    assert re.search(told, way_out), way_out
    assert "workload." not in way_out
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "constraints.max_budget_usd": "100"}).text
    assert re.search(r"\u201cBudget for hardware\u201d of \d+ US\$, PowerEdge \w+ \(", text_of(page)), text_of(page)
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.demand.users": ""}).text
    assert "\u201cRequests in flight\u201d, \u201cOutput tokens per second\u201d, \u201cUsers\u201d" in text_of(page)
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "constraints.allowed_servers": "a"}).text
    assert "Only these servers : " in text_of(page)
    page = anna.post("/size/inference/answer", {**inference.INITIAL, "workload.slo.tpot_ms": "0.01"}).text
    assert "poweredge-" not in text_of(page)


def test_a_unit_stands_beside_its_field_and_is_that_of_the_field(anna):
    page = anna.get("/size/inference").text
    [field] = re.findall(r'<input id="constraints-grid-kg-co2-kwh".*?</div>', page, flags=re.DOTALL)
    assert '<span class="unit">kg/kWh</span>' in field
