"""A real browser on the real product, signed in as who is asked for, and one of everything that a page shows."""

import functools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from config.environment import ROOT
from scripts import chromium
from tests.build import book_lines
from tests.e2e.conftest import Started
from tests.e2e.pages.browsing import Tab, tab

# The machine may have much else to do.
expect.set_options(timeout=20_000)


CHAT = json.loads((ROOT / "config/examples/inference-chat-llama-3.3-70b.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def run(product: Started) -> str:
    """A finished run of the demo tenant."""
    with product.client() as client:
        answer = client.post("/v1/workloads", json=CHAT, headers={"Prefer": "wait=30"}).json()
    assert answer["status"] == "done"
    return answer["id"]


@pytest.fixture(scope="package")
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
