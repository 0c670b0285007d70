"""The product's own application, whose lists of runs wait while a gate file exists.

The tests start it with `granian --factory tests.e2e.held_app:create_app`. Everything else is the product's.
"""

import os
import time
from pathlib import Path

from flask import Flask, request

from service import app

FOLDER = Path(os.environ["HEADROOM_TEST_GATE"])


def _held() -> None:
    if request.args.get("status") != "failed":
        return
    (FOLDER / f"entered {time.monotonic_ns()}").touch()
    while (FOLDER / "gate").exists():
        time.sleep(0.01)


def create_app() -> Flask:
    """The application."""
    made = app.create_app()
    made.before_request(_held)
    return made
