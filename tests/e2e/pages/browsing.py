"""A real browser on a running product: it may reach nobody else, and whatever it complains of fails the test."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Route

from config.environment import ROOT
from tests.e2e.conftest import Started

SCREENSHOTS = ROOT / ".screenshots"
WIDTHS = {"phone": 390, "laptop": 1280, "projector": 1920}
# What a browser says of no fault of ours: a refused form is an answer too, and a password field has no name beside it.
_NOT_OURS = ("Failed to load resource", "Password forms should have")


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A page of the browser, and what went wrong in it."""

    page: Page
    product: Started
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.product.address}{path}", wait_until="load")
        return self.page

    def sign_in(self, role: str = "seller") -> Page:
        page = self.go("/sign-in")
        page.fill("#key", self.product.key(role))
        page.click("main button[type=submit]")
        page.wait_for_url("**/size/**")
        return page

    def keep_picture(self, name: str) -> Path:
        SCREENSHOTS.mkdir(exist_ok=True)
        # In two thirds of the time that a PNG takes.
        path = SCREENSHOTS / f"{name}.jpeg"
        self.page.screenshot(path=path, full_page=True, type="jpeg", quality=80)
        return path


def tab(browser: Browser, product: Started, *, width: int = 1280, scheme: str = "light") -> Iterator[Tab]:
    """A tab of a browser of its own; it must have complained of nothing, and asked nobody else, when it closes."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = Tab(page=context.new_page(), product=product)
    context.set_default_timeout(30_000)
    host = urlsplit(product.address).netloc

    def only_here(route: Route, request: Request) -> None:
        if urlsplit(request.url).netloc != host and not request.url.startswith(("data:", "about:")):
            opened.elsewhere.append(request.url)
            route.abort()
        else:
            route.continue_()

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_NOT_OURS):
            opened.complaints.append(message.text)

    def failed(error: Error) -> None:
        opened.complaints.append(str(error))

    context.route("**/*", only_here)
    opened.page.on("console", heard)
    opened.page.on("pageerror", failed)
    yield opened
    context.close()
    assert not opened.elsewhere
    assert not opened.complaints
