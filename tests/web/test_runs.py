"""Results: what a page says of a run, what another tenant sees of it, and how many queries it takes."""

import json
import re

import pytest

from config.environment import ROOT
from service.access import Role
from tests.web.conftest import text_of

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))
HARDLY = {
    "workload": {
        "kind": "inference", "model": "llama-3.1-405b", "isl_tokens": 2000, "osl_tokens": 500,
        "demand": {"requests_s": 50}, "slo": {"ttft_ms": 5, "tpot_ms": 1},
    },
}  # fmt: skip


@pytest.fixture
def sized(app, speaker, work):
    """Posts a workload of acme and sizes it; the id of the run."""

    def post(body: dict) -> str:
        run = speaker("acme", Role.SELLER).post("/v1/workloads", body).json["id"]
        work()
        return run

    return post


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_every_example_has_a_page_that_tells_all_of_it(anna, sized, example):
    run = sized(json.loads(example.read_text(encoding="utf-8")))
    answer = anna.get(f"/runs/{run}")
    assert answer.status_code == 200
    words = text_of(answer.text)
    for heading in ("Memory of a GPU", "What binds", "Racks and power", "Indicative cost", "How it was found"):
        assert heading in words
    assert "None" not in words
    assert "Undefined" not in words
    assert re.search(r"with (over )?\d+\s%\sconfidence", words)
    if "inference" in example.stem:
        assert "Latency against load" in words
    working = anna.get(f"/runs/{run}/options/1/working")
    assert working.text.count("<li>") > 5


def test_what_hosts_and_alignments_must_bring_stands_on_the_page(anna, sized):
    body = json.loads((ROOT / "config" / "examples" / "science-folding-boltz-2.json").read_text(encoding="utf-8"))
    body["workload"]["msa"] = {"route": "jackhmmer", "unique_chains_per_target": 2}
    words = text_of(anna.get(f"/runs/{sized(body)}").text)

    assert "What else it asks for" in words
    assert re.search(r"Host memory of a server\s+[\d,]+\sGB", words)
    assert re.search(r"Alignments: CPU-only servers\s+\d+", words)
    assert "GPU memory unknown" not in words


def test_one_rack_is_told_as_one(anna, sized):
    example = next(path for path in EXAMPLES if path.stem == "training-pretrain-llama-3.1-8b")
    body = json.loads(example.read_text(encoding="utf-8"))
    body["workload"]["target"] = {"gpus": 8}
    page = anna.get(f"/runs/{sized(body)}").text
    assert re.search(r'aria-label="1\s(rack) with 1\s(server)"', page)


def test_further_figures_stand_in_the_order_of_their_names(anna, sized):
    run = sized(json.loads(EXAMPLES[0].read_text(encoding="utf-8")))
    page = anna.get(f"/runs/{run}").text
    words = [text_of(one).strip() for one in re.findall(r"<dt>(.*?)</dt>", page, flags=re.DOTALL)]
    assert words.index("Requests in flight") < words.index("A whole request") < words.index("First token, mean")


def test_a_part_without_a_price_is_said_to_be_in_no_sum(anna, sized):
    page = anna.get(f"/runs/{sized(json.loads(EXAMPLES[0].read_text(encoding='utf-8')))}").text
    cost = re.search(r'id="cost-title".*?</table>', page, flags=re.DOTALL)
    assert cost is not None
    unpriced = [row for row in re.findall(r"<tr.*?</tr>", cost[0], flags=re.DOTALL) if "no price" in row]
    assert unpriced
    assert all("not in the sum" in row for row in unpriced)


def test_another_option_of_the_run_can_be_looked_at(anna, sized):
    run = sized(json.loads(EXAMPLES[0].read_text(encoding="utf-8")))
    assert "option 2" in text_of(anna.get(f"/runs/{run}?option=2").text)
    assert anna.get(f"/runs/{run}?option=999").status_code == 404
    assert anna.get(f"/runs/{run}?option=x").status_code == 404


def test_where_nothing_fits_the_page_says_what_would(anna, sized):
    words = text_of(anna.get(f"/runs/{sized(HARDLY)}").text)
    assert "Nothing in the catalog fits" in words
    assert "What would do" in words
    assert "that do not appear, and why" in words


def test_an_open_run_asks_again_by_itself(anna, work):
    address = anna.post("/size/training", {
        "workload.model": "llama-3.1-8b", "workload.method": "sft", "workload.tokens": "1e9",
        "workload.target": "gpus", "workload.target.gpus": "8",
    }, on="/size/training").headers["Location"]  # fmt: skip
    page = anna.get(address)
    assert 'hx-trigger="every' in page.text
    assert anna.get(address, HX_Request="true").status_code == 204
    work()
    assert 'hx-trigger="every' not in anna.get(address).text


@pytest.mark.parametrize("path", ["runs/{}", "runs/{}/options/1/working", "compare?run={}", "size/inference?from={}"])
def test_another_tenants_run_is_a_page_that_is_not_there(anna, visitor, sized, path):
    run = sized(HARDLY)
    stranger = visitor("rival")
    for unknown in (run, "run_0", "x"):
        answer = stranger.get(f"/{path.format(unknown)}", Accept="text/html")
        assert (answer.status_code, answer.mimetype) == (404, "text/html"), unknown
        assert "llama" not in answer.text
    assert anna.get(f"/{path.format(run)}").status_code in {200, 404}


def test_the_list_takes_as_many_queries_however_long_it_is(anna, sized, counted):
    for users in (100, 200, 300):
        sized({"name": f"for {users}", "workload": {**HARDLY["workload"], "demand": {"users": users}}})
    with counted() as statements:
        page = anna.get("/runs")
    assert text_of(page.text).count("for ") >= 3
    # The session, the runs, the names of their workloads.
    assert len([one for one in statements if one.startswith("SELECT")]) == 3, statements


def test_a_result_takes_few_queries(anna, sized, counted):
    run = sized(json.loads(EXAMPLES[0].read_text(encoding="utf-8")))
    anna.get(f"/runs/{run}")
    with counted() as statements:
        anna.get(f"/runs/{run}")
    assert len([one for one in statements if one.startswith("SELECT")]) <= 6, statements


def test_the_question_of_a_run_can_be_changed(anna, sized):
    run = sized({"name": "for later", "workload": {**HARDLY["workload"], "isl_tokens": {"mean": 1234, "p95": 4321}}})
    page = anna.get(f"/size/inference?from={run}")
    for value in ("llama-3.1-405b", "1234", "4321", "for later"):
        assert f'value="{value}"' in page.text or value == "for later", value


def test_a_customer_reads_words_and_no_ids(anna, sized, runtime):
    chat = json.loads((ROOT / "config/examples/inference-chat-llama-3.3-70b.json").read_text(encoding="utf-8"))
    words = text_of(anna.get(f"/runs/{sized(chat)}").text)
    hardware = runtime.catalog.hardware
    ids = {one.id for group in (hardware.servers, hardware.switches) for one in group if "-" in one.id}
    assert not [known for known in ids if f" {known} " in words]
    for raw in ("nvidia-ai-enterprise", "prosupport", "b200-sxm", "inference.", "workload."):
        assert raw not in words, raw
    for told in (
        "NVIDIA AI Enterprise, a year",
        "Dell ProSupport, a year",
        "Memory that the framework keeps",
        "beaten by none in cost",
    ):
        assert told in words, told


def test_runs_are_told_apart_side_by_side_and_moved(anna, sized):
    chat = json.loads((ROOT / "config/examples/inference-chat-llama-3.3-70b.json").read_text(encoding="utf-8"))
    first = sized(chat)
    second = sized({**chat, "name": "twice as many", "workload": {**chat["workload"], "demand": {"users": 10_000}}})
    page = anna.get(f"/compare?run={first}&run={second}")
    assert page.status_code == 200
    assert re.search(r'<tr class="differs asked"><th scope="row">Users', page.text)
    assert "twice as many" in page.text
    # What was asked is written as every other number.
    [users] = re.findall(r'<tr class="differs asked"><th scope="row">Users.*?</tr>', page.text, re.DOTALL)
    assert "10,000" in text_of(users)
    # A slider says how far it goes.
    [ends] = re.findall(r'<small class="ends" id="ends-1">.*?</small>', page.text)
    assert text_of(ends).split() == ["620", "to", "40,000"]
    moved = anna.post(
        "/compare/what-if", {"run": first, "workload.demand.users": "2"}, on=f"/compare?run={first}", HX_Request="true"
    )
    words = text_of(moved.text)
    assert "What if" in words
    assert "20,000" in words
    refused = anna.post(
        "/compare/what-if",
        {"run": first, "workload.isl_tokens.mean": "3", "workload.weight_precision": "int8"},
        on=f"/compare?run={first}",
    )
    assert refused.status_code == 200


def test_nothing_to_compare_offers_what_there_is(anna, sized):
    assert "Nothing was sized yet" in text_of(anna.get("/compare").text)
    sized(HARDLY)
    assert 'type="checkbox"' in anna.get("/compare").text


def test_nothing_to_suppose_from_is_told(anna):
    answer = anna.post("/compare/what-if", {})
    assert answer.status_code == 422
    assert "Choose a run" in text_of(answer.text)
