"""Every page in a real browser on the real product: looks, weight, accessibility, keyboard, print."""

import pytest
from playwright.sync_api import expect

from config.environment import ROOT
from tests.e2e.pages.browsing import WIDTHS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]

AXE = (ROOT / "tests" / "e2e" / "axe" / "axe.min.js").read_text(encoding="utf-8")
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
