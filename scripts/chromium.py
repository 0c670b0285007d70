"""A real browser for the pages: Debian's Chromium, found, or installed where this machine and we may."""

import shutil
from collections.abc import Callable
from pathlib import Path

from scripts import apt
from scripts.trouble import Trouble

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Whoever is root in a container has no namespaces for its sandbox; it sees pages of this machine alone.
ARGUMENTS = ("--no-sandbox",)


def browser() -> Path | None:
    """Where the browser is; None where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return None if found is None else Path(found)


def need(say: Callable[[str], None]) -> Path:
    """The browser, from Debian where it is missing and we may install it; else Trouble with the way out."""
    found = browser()
    if found is None and apt.can_install():
        say("Installing Chromium with apt-get ...")
        apt.install("chromium")
        found = browser()
    if found is None:
        raise Trouble("The pages are looked at with a real browser: install Debian's package `chromium`.")
    return found
