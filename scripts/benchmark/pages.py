"""The pages in a real browser: how long until each can be used, and what it weighs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from scripts import chromium
from scripts.benchmark.figures import median
from scripts.benchmark.installation import Installation
from scripts.benchmark.questions import DENSE
from scripts.trouble import Trouble
from service.access import Role

_WIDTH, _HEIGHT = 1280, 900
_WITHIN_MS = 20_000
# An administrator sees every page.
_WHO = Role.ADMIN
# Until a page can be used: its scripts have run, and it says so itself. What was sent for it, compressed.
_TIMES = """async () => {
  // A background is painted before anything that can be read, and may be told alone.
  const painted = await new Promise((told) => new PerformanceObserver((list) => {
    const [content] = list.getEntriesByName("first-contentful-paint");
    if (content) told(content);
  }).observe({ type: "paint", buffered: true }));
  const [page] = performance.getEntriesByType("navigation");
  const usable = performance.getEntriesByName("headroom-interactive")[0];
  const files = performance.getEntriesByType("resource");
  return {
    first_byte_ms: page.responseStart,
    painted_ms: painted.startTime,
    interactive_ms: Math.max(usable.startTime, page.domInteractive),
    page_bytes: page.transferSize,
    all_bytes: page.transferSize + files.reduce((sum, file) => sum + file.transferSize, 0),
  };
}"""
# From a key pressed in the form until the new answer stands there.
_ANSWER = """() => new Promise((done) => {
  const field = document.querySelector('[name="workload.demand.users"]');
  const begun = performance.now();
  document.addEventListener("htmx:after:swap", () => done(performance.now() - begun), { once: true });
  field.value = String(1000 + Math.floor(Math.random() * 9000));
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """One page: medians over the rounds [ms], with an empty cache of the browser; bytes as sent."""

    name: str
    first_byte_ms: float
    painted_ms: float
    interactive_ms: float
    warm_interactive_ms: float
    page_bytes: int
    all_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """All pages, and how long an answer takes to follow the form."""

    rows: tuple[PageRow, ...]
    answer_ms: float
    rounds: int


def measure(installation: Installation, *, rounds: int, say: Callable[[str], None]) -> PageFigures:
    """Every page, rounds times with an empty cache and as often with a full one."""
    paths = _paths(installation)
    with _browser() as browser:
        rows = []
        for name, path in paths.items():
            say(f"pages: {name}")
            rows.append(_row(browser, installation, name, path, rounds=rounds))
        say("pages: the answer follows the form")
        page = _signed_in(browser, installation)
        page.goto(f"{installation.address}/size/inference")
        answers = [float(page.evaluate(_ANSWER)) for _ in range(rounds + 1)][1:]
        page.context.close()
    installation.check_alive()
    return PageFigures(rows=tuple(rows), answer_ms=median(answers), rounds=rounds)


@contextmanager
def _browser() -> Iterator[Browser]:
    found = chromium.browser()
    assert found is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(chromium.ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _paths(installation: Installation) -> Mapping[str, str]:
    """The pages that are measured; a result needs a run, and a draft that run."""
    with installation.client(_WHO) as client:
        run = client.post("/v1/workloads", json=DENSE.document(), headers={"Prefer": "wait=30"}).json()
        asked = {"run_id": run["id"], "customer": {"name": "Measured"}, "currency": "USD"}
        quote = client.post("/v1/quotes", json=asked).json()
    if run.get("status") != "done" or "id" not in quote:
        raise Trouble("The bench could not size the question whose page it measures.")
    return {
        "sign in": "/sign-in",
        "size": "/size/inference",
        "result": f"/runs/{run['id']}",
        "runs": "/runs",
        "compare": f"/compare?run={run['id']}",
        "write a quote": f"/quotes/new?run={run['id']}&option=1",
        "quote": f"/quotes/{quote['id']}",
        "batches": "/batches",
        "schedules": "/schedules",
        "new schedule": "/schedules/new",
        "price books": "/price-books",
        "upload of prices": "/price-books/new",
        "keys": "/admin/keys",
        "webhooks": "/admin/webhooks",
        "quotas": "/admin/quotas",
        "catalog": "/catalog/servers",
        "accuracy": "/accuracy",
    }


def _row(browser: Browser, installation: Installation, name: str, path: str, *, rounds: int) -> PageRow:
    cold, warm = [], []
    for _ in range(rounds):
        page = _signed_in(browser, installation) if path != "/sign-in" else _tab(browser)
        if path != "/sign-in":
            # Signing in has filled the cache of this browser.
            page.context.new_cdp_session(page).send("Network.clearBrowserCache")
        cold.append(_times(page, f"{installation.address}{path}"))
        warm.append(_times(page, f"{installation.address}{path}"))
        page.context.close()
    return PageRow(
        name=name,
        first_byte_ms=_middle(cold, "first_byte_ms"),
        painted_ms=_middle(cold, "painted_ms"),
        interactive_ms=_middle(cold, "interactive_ms"),
        warm_interactive_ms=_middle(warm, "interactive_ms"),
        page_bytes=int(_middle(cold, "page_bytes")),
        all_bytes=int(_middle(cold, "all_bytes")),
    )


def _times(page: Page, address: str) -> dict[str, Any]:
    page.goto(address, wait_until="load", timeout=_WITHIN_MS)
    found: dict[str, Any] = page.evaluate(_TIMES)
    return found


def _middle(times: list[dict[str, Any]], name: str) -> float:
    return median([float(one[name]) for one in times])


def _tab(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": _WIDTH, "height": _HEIGHT}).new_page()


def _signed_in(browser: Browser, installation: Installation) -> Page:
    page = _tab(browser)
    page.goto(f"{installation.address}/sign-in", timeout=_WITHIN_MS)
    page.fill("#key", installation.keys[_WHO])
    page.click("main button[type=submit]")
    page.wait_for_url("**/size/**", timeout=_WITHIN_MS)
    return page
