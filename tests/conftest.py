"""Fixtures that give things: servers, settings, and (once) the loopback guard."""

import gc
from pathlib import Path

import pytest
from flask import Flask

from config.environment import ROOT
from service.settings import Settings
from tests import loopback
from tests.contract import CheckedClient
from tests.plain_logs import log_plainly
from tests.statements import compile_statements_once
from tests.templates import compile_once

pytest_plugins = ["tests.ordering", "tests.servers", "tests.databases", "tests.product"]

# Objects made, and still there, before anybody looks for garbage.
_SELDOM = 20_000

loopback.install()
log_plainly()
compile_once()
compile_statements_once()
# Every answer that any test gets from an application is held against the OpenAPI document.
Flask.test_client_class = CheckedClient


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long schemathesis may try, and whether the answers that the document shows are written anew."""
    group = parser.getgroup("contract")
    group.addoption(
        "--contract-examples", type=int, default=8, help="random requests per operation, and walks along links"
    )
    group.addoption("--write-examples", action="store_true", help="write what the document shows as answers anew")
    group.addoption("--contract-seed", type=int, default=1, help="another seed makes other requests")


def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay to the end: to look through them for garbage again and again takes long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_SELDOM, 10, 10)


@pytest.fixture
def settings(tmp_path: Path, broker_url: str, cache_url: str) -> Settings:
    """SQLite in a folder of its own, real broker and cache, short clocks."""
    return Settings(
        database_url=f"sqlite:///{tmp_path / 'headroom.db'}",
        broker_url=broker_url,
        cache_url=cache_url,
        config_dir=ROOT / "config",
        data_dir=tmp_path / "data",
        log_level="WARNING",
        task_soft_limit_s=1,
        task_hard_limit_s=2,
        lease_s=3.0,
        visibility_timeout_s=4,
        outbox_poll_s=0.5,
        sweep_interval_s=1.0,
        resend_after_s=1.0,
        dispatcher_lease_s=3.0,
        # A process hears of its own changes at once; how many statements something takes must not hang on the hour.
        webhook_memory_s=3600.0,
    )
