"""The pages as people use them, in a real browser on the real product."""

import json
import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import CHAT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]


def headline(page: Page) -> str:
    return page.inner_text(".headline")


def servers(page: Page) -> int:
    return int(re.match(r"([\d,]+)", headline(page))[1].replace(",", ""))


def test_a_first_sizing_from_signing_in_to_the_working(visit):
    """What a sales engineer does in front of a customer."""
    opened = visit(signed_in=False)
    page = opened.go("/")
    expect(page).to_have_url(re.compile(r"/sign-in"))
    page.fill("#key", "hr_wrong_key")
    page.click("main button[type=submit]")
    expect(page.locator("#fault-key")).to_contain_text("not valid")
    opened.sign_in()
    assert re.search(r"meets? 1,000", headline(page).replace("\u00a0", " "))
    page.evaluate("window.stillHere = true")
    before = servers(page)
    page.fill('[name="workload.demand.users"]', "200,000")
    expect(page.locator(".headline")).to_contain_text("200,000 users")
    assert servers(page) > before
    # The site's limits are kept too, and what cannot be says what would do.
    page.click("text=Site and limits")
    page.fill('[name="constraints.max_racks"]', "1")
    expect(page.locator(".way-out")).to_contain_text("What would do")
    page.fill('[name="constraints.max_racks"]', "")
    page.fill('[name="workload.demand.users"]', "5000")
    # A typo is told beside its field, with what was meant a click away; everything else stays as it was.
    page.fill('[name="workload.model"]', "lama-3.3-70b")
    expect(page.locator("#fault-workload-model")).to_contain_text("Did you mean")
    expect(page.locator('[name="workload.model"]')).to_have_attribute("aria-invalid", "true")
    assert page.input_value('[name="workload.demand.users"]') == "5000"
    page.click("#fault-workload-model button >> nth=0")
    expect(page.locator(".headline")).to_contain_text("confidence")
    assert page.input_value('[name="workload.model"]') == "llama-3.3-70b"
    assert page.evaluate("window.stillHere"), "the page was loaded again"
    opened.keep_picture("journey-sizing-answer")
    page.fill('[name="name"]', "for the board")
    page.click("text=Keep this sizing")
    page.wait_for_url("**/runs/run_*")
    expect(page.locator(".headline")).to_contain_text("confidence")
    page.click("text=Show the working")
    expect(page.locator(".working li >> nth=3")).to_be_visible()
    page.click("table.options tbody tr >> nth=1 >> a")
    expect(page.locator(".option-title")).to_contain_text("option 2")
    opened.keep_picture("journey-sizing-result")


def test_a_double_click_keeps_one_sizing_and_ends_at_its_address(visit):
    page = visit().page
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.is_navigation_request() else None)
    # The second click comes while the first is not answered yet.
    page.route("**/size/inference", lambda route: (time.sleep(1.0), route.fallback()))
    page.evaluate("""() => {
      const button = document.querySelector(".keep button[type=submit]");
      button.click();
      setTimeout(() => button.click(), 150);
    }""")
    page.wait_for_url("**/runs/run_*")
    expect(page.locator(".option-title")).to_be_visible()
    assert len([url for url in posts if "/size/" in url]) == 1, posts
    page.unroute("**/size/inference")
    # Whoever goes back can send again.
    page.go_back()
    page.click("text=Keep this sizing")
    page.wait_for_url("**/runs/run_*")


def test_what_was_typed_is_still_there_after_a_reload_and_on_another_kind(visit):
    opened = visit()
    page = opened.page
    page.fill('[name="workload.isl_tokens.mean"]', "3333")
    page.check('[name="workload.demand"][value="concurrency"]')
    page.fill('[name="workload.demand.concurrency"]', "77")
    expect(page.locator(".headline")).to_contain_text("77 requests at once")
    page.click("text=Training")
    page.click("text=Serving")
    expect(page.locator(".headline")).to_contain_text("77 requests at once")
    page.reload()
    expect(page.locator(".headline")).to_contain_text("77 requests at once")
    assert page.input_value('[name="workload.isl_tokens.mean"]') == "3333"
    assert page.is_visible('[name="workload.demand.concurrency"]')
    assert not page.is_visible('[name="workload.demand.users"]')


def test_a_question_is_pasted_and_fills_the_form(visit):
    page = visit().page
    page.click("text=Or paste")
    page.fill("#pasted", json.dumps({**CHAT, "name": "pasted here"}))
    expect(page.locator('[name="name"]')).to_have_value("pasted here")
    assert page.input_value('[name="workload.isl_tokens.p95"]') == "6000"
    expect(page.locator(".headline")).to_contain_text("5,000 users")


def test_a_batch_with_a_failure_in_it(visit):
    """Sent, followed while it is worked on, and the one that is wrong told with what was meant."""
    opened = visit()
    page = opened.go("/batches")
    wrong = {"name": "mistyped", "workload": {**CHAT["workload"], "model": "lama-3.3-70b"}}
    page.fill("#batch-items", "\n".join(json.dumps(one) for one in [CHAT, wrong, {**CHAT, "name": "again"}]))
    page.fill("#batch-name", "care")
    page.click("text=Size them")
    page.wait_for_url("**/batches/bat_*")
    expect(page.locator("[role=status]")).to_contain_text("100 %")
    opened.keep_picture("journey-batch")
    page.click("text=Refused 1")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("Did you mean llama-3.3-70b?")


def test_a_schedule_is_made_run_and_read(visit, run):
    """An administrator has workloads sized again, and sees what moved."""
    opened = visit(role="admin")
    page = opened.go("/schedules/new")
    page.fill('[name="schedule.cron"]', "0 7 * * MON")
    expect(page.locator("#answer")).to_contain_text("07:00")
    page.fill('[name="schedule.cron"]', "whenever")
    expect(page.locator("#fault-schedule-cron p")).to_be_visible()
    page.fill('[name="schedule.cron"]', "0 7 * * MON")
    page.fill('[name="schedule.name"]', "on Mondays")
    page.click("text=Make the schedule")
    page.wait_for_url("**/schedules/sch_*")
    page.click("text=Pause")
    expect(page.locator(".title-row")).to_contain_text("paused")
    page.click("text=Size them now")
    page.wait_for_url("**/occurrences/occ_*")
    expect(page.locator("#occurrence")).to_contain_text("Power at the meter", timeout=60_000)
    opened.keep_picture("journey-schedule")


def test_a_slider_moves_the_question(visit, run):
    opened = visit()
    page = opened.go(f"/compare?run={run}")
    page.fill('input[name="workload.demand.users"]', "3")
    expect(page.locator("#table thead")).to_contain_text("What if")
    expect(page.locator("#says-1")).to_have_text("40,000")
    opened.keep_picture("journey-compare")


def test_a_sceptic_narrows_the_measured_runs(visit):
    """The accuracy page: every point, its interval, its source."""
    opened = visit()
    page = opened.go("/accuracy")
    whole = page.locator(".scatter circle").count()
    page.select_option('[name="gpu"]', "gb200")
    expect(page).to_have_url(re.compile("gpu=gb200"))
    assert page.locator(".scatter circle").count() < whole
    page.select_option('[name="by"]', "model")
    expect(page.locator("#points table >> nth=0")).to_contain_text("deepseek")
    page.click("nav[aria-label='Kind of workload'] >> text=Science")
    expect(page.locator(".whisker >> nth=0")).to_be_attached()
    opened.keep_picture("journey-accuracy")
