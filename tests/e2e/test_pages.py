"""The pages as people use them, in a real browser on the real product: journeys, looks, weight, accessibility."""

import functools
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from config.environment import ROOT
from scripts import chromium
from tests.api.selling import SMALL
from tests.build import book_lines
from tests.e2e.browsing import WIDTHS, Tab, tab
from tests.e2e.conftest import Started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]

AXE = (ROOT / "tests" / "e2e" / "axe" / "axe.min.js").read_text(encoding="utf-8")
CHAT = json.loads((ROOT / "config/examples/inference-chat-llama-3.3-70b.json").read_text(encoding="utf-8"))
MOST_BYTES = 200_000
WORST = {"serious", "critical"}
# Every width once, and both schemes: a picture takes as long as the checks of what it shows.
_PICTURED = (("laptop", "light"), ("phone", "dark"), ("projector", "light"))
# Every page that there is; what stands in braces is of the demo tenant, see `things`.
PAGES = {
    "sign-in": "/sign-in",
    "size-inference": "/size/inference",
    "size-training": "/size/training",
    "size-science": "/size/science",
    "runs": "/runs",
    "run": "/runs/{run}",
    "working": "/runs/{run}/options/1/working",
    "compare": "/compare?run={run}&run={run}:2",
    "compare-choose": "/compare",
    "quotes": "/quotes",
    "quote-new": "/quotes/new?run={run}&option=1",
    "quote-changed": "/quotes/{quote}/change",
    "quote": "/quotes/{quote}",
    "batches": "/batches",
    "batch": "/batches/{batch}",
    "schedules": "/schedules",
    "admin-schedule-new": "/schedules/new",
    "admin-schedule": "/schedules/{schedule}",
    "occurrence": "/occurrences/{occurrence}",
    "price-books": "/price-books",
    "price-book": "/price-books/{book}",
    "price-book-diff": "/price-books/{book}/diff/{newer}",
    "admin-price-book-new": "/price-books/new",
    "admin-keys": "/admin/keys",
    "admin-quotas": "/admin/quotas",
    "admin-audit": "/admin/audit",
    "admin-webhooks": "/admin/webhooks",
    "admin-webhook": "/admin/webhooks/{webhook}",
    "catalog": "/catalog/servers",
    "record": "/catalog/gpus/b200-sxm",
    "accuracy": "/accuracy",
    "accuracy-narrowed": "/accuracy?kind=inference&metric=tpot_ms&gpu=gb200&split=validation",
    "missing": "/nowhere",
}
_SENT = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .reduce((sum, one) => sum + one.transferSize, 0)"""

# Some go round for ever, and one that is called off never ends.
_SETTLED = """() => Promise.race([
  Promise.allSettled(document.getAnimations().map(one => one.finished)),
  new Promise(done => setTimeout(done, 1000)),
])"""


# The machine may have much else to do.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = chromium.browser()
    assert found is not None, "the pages are looked at with Debian's package chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(chromium.ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, product: Started) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, signed in unless said otherwise; each is judged when the test is over."""
    opened = []

    def open_tab(*, signed_in: bool = True, role: str = "seller", width: int = 1280, scheme: str = "light") -> Tab:
        made = tab(browser, product, width=width, scheme=scheme)
        opened.append(made)
        found = next(made)
        if signed_in:
            found.sign_in(role)
        return found

    yield open_tab
    for made in opened:
        assert next(made, None) is None


@pytest.fixture(scope="module")
def cookies(browser: Browser, product: Started) -> Callable[[str], list[Any]]:
    """What a browser holds after somebody of a role signed in: to sign in for every page would take minutes."""

    @functools.cache
    def of(role: str) -> list[Any]:
        opening = tab(browser, product)
        page = next(opening).sign_in(role)
        held = page.context.cookies()
        assert next(opening, None) is None
        return held

    return of


@pytest.fixture(scope="module")
def run(product: Started) -> str:
    """A finished run of the demo tenant."""
    with product.client() as client:
        answer = client.post("/v1/workloads", json=CHAT, headers={"Prefer": "wait=30"}).json()
    assert answer["status"] == "done"
    return answer["id"]


@pytest.fixture(scope="module")
def things(product: Started, run: str) -> dict[str, str]:
    """One of everything that a page shows: a quote, two price books, a batch, a schedule that was run, a webhook."""
    seller, admin = ({"Authorization": f"Bearer {product.key(role)}"} for role in ("seller", "admin"))
    with httpx.Client(base_url=product.address, trust_env=False, timeout=60.0) as client:

        def made(path: str, body: Any, who: dict[str, str] = admin) -> str:
            answer = client.post(path, json=body, headers=who)
            assert answer.is_success, answer.text
            return str(answer.json()["id"])

        quote = made("/v1/quotes", {"run_id": run, "customer": {"name": "Example Library"}, "currency": "USD"}, seller)
        lines = client.get(f"/v1/quotes/{quote}", headers=seller).json()["document"]["lines"]
        book = {"name": "shown", "currency": "USD", "date": "2026-11-01"}
        schedule = made("/v1/schedules", {"name": "every morning", "cron": "0 6 * * *", "triggers": ["price_book"]})
        found = {
            "run": run,
            "quote": quote,
            "book": made("/v1/price-books", book | {"lines": book_lines(lines, "1000.00")}),
            "newer": made("/v1/price-books", book | {"lines": book_lines(lines[1:], "1200.00")}),
            "batch": made("/v1/batches", [CHAT, {"name": "wrong"}], seller),
            "schedule": schedule,
            "occurrence": made(f"/v1/schedules/{schedule}/run", None),
            "webhook": made("/v1/webhooks", {"url": "https://93.184.215.14/events", "events": ["run.done"]}),
        }
        for _ in range(120):
            if client.get(f"/v1/occurrences/{found['occurrence']}", headers=seller).json()["status"] == "done":
                break
            time.sleep(0.5)
        return found


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


@pytest.fixture(scope="module")
def sold(product: Started) -> str:
    """A run of few servers, and a price book in force that has every part of it."""
    with product.client() as client:
        run = client.post("/v1/workloads", json=SMALL, headers={"Prefer": "wait=30"}).json()["id"]
    seller, admin = ({"Authorization": f"Bearer {product.key(role)}"} for role in ("seller", "admin"))
    with httpx.Client(base_url=product.address, trust_env=False, timeout=40.0) as client:
        body = {"run_id": run, "customer": {"name": "Nobody"}, "currency": "USD"}
        lines = client.post("/v1/quotes", json=body, headers=seller).json()["document"]["lines"]
        book = {"name": "list", "currency": "USD", "date": "2026-11-01", "lines": book_lines(lines, "1000.00")}
        made = client.post("/v1/price-books", json=book, headers=admin).headers["Location"]
        today = {"effective_from": f"{datetime.now(UTC):%Y-%m-%d}"}
        done = client.post(f"{made}/activate", json=today, headers={**admin, "If-Match": "*"})
        assert done.status_code == httpx.codes.OK, done.text
    return run


def test_a_quote_from_an_option_to_acceptance(visit, sold):
    """What a seller and an approver do, and what a customer gets."""
    seller = visit()
    page = seller.go(f"/runs/{sold}")
    page.click("text=Quote this option")
    expect(page.locator(".totals")).to_contain_text("Total over 36 months")
    page.fill('[name="quote.customer.name"]', "Example University")
    page.fill('[name="quote.discount_fraction"]', "30 %")
    expect(page.locator(".totals")).to_contain_text("discount")
    page.fill('[name="quote.destination_country"]', "DE")
    page.click("text=Write the draft")
    page.wait_for_url("**/quotes/quo_*")
    seller.keep_picture("journey-quote-draft")
    page.click("button:text-is('Submit')")
    expect(page.locator(".title-row")).to_contain_text("Pending approval")
    address = urlsplit(page.url).path
    approver = visit(role="approver")
    approver.go(address).click("button:text-is('Approve')")
    expect(approver.page.locator(".title-row")).to_contain_text("Approved")
    seller.go(address).click("button:text-is('Issue')")
    expect(page.locator(".title-row")).to_contain_text("Issued")
    page.click("summary:has-text('Accept')")
    page.fill('[name="accepted_by"]', "The dean")
    page.click("button:text-is('Note the acceptance')")
    expect(page.locator(".title-row")).to_contain_text("Accepted")
    seller.keep_picture("journey-quote-accepted")


def test_a_line_of_a_quote_is_typed_into_while_the_totals_follow(visit, sold):
    """Discounts, quantities and charges move the totals and the approval under the hands of whoever types."""
    opened = visit()
    page = opened.go(f"/quotes/new?run={sold}&option=1")
    before = page.inner_text(".grand strong")
    page.focus('[name="quote.line_discounts.server"]')
    page.keyboard.type("40 %")
    expect(page.locator(".checks")).to_contain_text("tier deal desk")
    expect(page.locator('[name="quote.line_discounts.server"]')).to_be_focused()
    assert page.inner_text(".grand strong") != before
    page.fill('[name="quote.quantities.server"]', "none")
    expect(page.locator("#fault-quote-quantities-server p")).to_be_visible()
    expect(page.locator(".grand")).to_contain_text("Total over 36 months")
    page.fill('[name="quote.quantities.server"]', "")
    page.click("text=Other charges")
    page.fill('[name="quote.charges.0.name"]', "Freight")
    page.fill('[name="quote.charges.0.amount"]', "1500")
    expect(page.locator('[name="quote.charges.1.name"]')).to_be_visible()
    expect(page.locator(".totals")).to_contain_text("Freight")
    page.fill('[name="quote.destination_country"]', "China")
    expect(page.locator("#export ~ p >> nth=0")).to_contain_text("Strongest flag")
    page.fill('[name="quote.deliver_by"]', "2099-01-31")
    expect(page.locator(".checks")).to_contain_text("Needed by 31 January 2099")
    # All of it is there again after a reload.
    page.reload()
    expect(page.locator(".totals")).to_contain_text("Freight")
    assert page.input_value('[name="quote.line_discounts.server"]') == "40 %"
    opened.keep_picture("journey-quote-lines")


def test_two_people_change_one_draft(visit, things):
    address = f"/quotes/{things['quote']}/change"
    first, second = visit(), visit(role="admin")
    mine, theirs = first.go(address), second.go(address)
    theirs.fill('[name="quote.discount_fraction"]', "20 %")
    theirs.click("text=Save the draft")
    theirs.wait_for_url(f"**/quotes/{things['quote']}")
    mine.fill('[name="quote.customer.contact"]', "Ms Example")
    mine.click("text=Save the draft")
    expect(mine.locator("[role=alert]")).to_contain_text("Somebody else changed this meanwhile")
    expect(mine.locator("[role=alert]")).to_contain_text("20 %")
    assert mine.input_value('[name="quote.customer.contact"]') == "Ms Example"
    first.keep_picture("journey-quote-overtaken")
    mine.click("text=Save the draft")
    mine.wait_for_url(f"**/quotes/{things['quote']}")


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


def test_the_keyboard_reaches_everything(visit, run):
    opened = visit()
    page = opened.go(f"/runs/{run}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.closest('svg') ? 'chart' : document.activeElement.tagName"))
    assert {"A", "chart"} <= seen
    page.locator(".chart .dot >> nth=0").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement.querySelector('.say')).visibility") == "visible"


def test_a_second_step_is_opened_and_left_with_the_keyboard(visit, things):
    page = visit(role="admin").go(f"/admin/webhooks/{things['webhook']}")
    page.focus("summary:has-text('Delete')")
    page.keyboard.press("Enter")
    expect(page.locator("button:text-is('Delete it')")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("button:text-is('Delete it')")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("button:text-is('Delete it')")).to_be_hidden()
    expect(page.locator("summary:has-text('Delete')")).to_be_focused()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_light_accessible_and_fits_every_screen(visit, cookies, things, name):
    role = "admin" if name.startswith("admin") else "seller"
    opened = visit(signed_in=False)
    if name != "sign-in":
        opened.page.context.add_cookies(cookies(role))
    page = opened.go(PAGES[name].format(**things))
    assert page.evaluate(_SENT) < MOST_BYTES
    page.evaluate(AXE)
    for width, scheme in (*_PICTURED, ("laptop", "dark")):
        page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        page.emulate_media(color_scheme=scheme)
        # A colour on its way to another is neither.
        page.evaluate(_SETTLED)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{width} scrolls sideways"
        if (width, scheme) in _PICTURED:
            opened.keep_picture(f"{name}-{width}-{scheme}")
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        worst = [
            (one["id"], one["help"], [node["target"] for node in one["nodes"]][:3])
            for one in found["violations"]
            if one["impact"] in WORST
        ]
        assert not worst, f"{width}, {scheme}"


def test_a_page_is_printed_without_what_belongs_to_the_screen(visit, run):
    opened = visit()
    page = opened.go(f"/runs/{run}")
    page.emulate_media(media="print")
    assert not page.is_visible(".top nav")
    assert page.is_visible(".headline")
    assert len(page.pdf()) > 10_000
