"""Runtime: the parts that every process holds, wired here and nowhere else."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from service.addresses import parse_networks
from service.cache import ResultCache
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.gathering import Gathering
from service.kept import Kept
from service.logs.quick import written_together
from service.metrics import Metrics
from service.outbound import Outbound
from service.queue import CeleryQueue, Queue
from service.quoting.prices import PriceBook
from service.settings import Settings
from service.sizing.kind import Kind
from service.store.engine import ANSWERS_WITHIN_S, KeptOpen, engine_for_reading, make_engine
from service.store.listeners import Listeners
from service.store.scope import keep_to_tenants
from service.tracing import NO_TRACING, Tracing
from service.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is read from config/ once and may be shared by forked processes."""

    catalog: Catalog
    price_book: PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Passed to every use case. Tests pass another queue or clock; nothing is patched.

    Its repr is short: a trace of an error must not carry addresses with passwords, nor a whole catalog.
    """

    settings: Settings = field(repr=False)
    sessions: sessionmaker[Session] = field(repr=False)
    reading: sessionmaker[Session] = field(repr=False)
    kept_open: KeptOpen = field(repr=False)
    cache: ResultCache = field(repr=False)
    kept: Kept = field(repr=False)
    queue: Queue = field(repr=False)
    catalog: Catalog = field(repr=False)
    price_book: PriceBook = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    metrics: Metrics = field(repr=False)
    listeners: Listeners = field(repr=False)
    outbound: Outbound = field(repr=False)
    # Runs whose answer is at hand, of one moment: written together.
    gathering: Gathering[Any, Any] = field(repr=False, default_factory=lambda: Gathering(telling=written_together))
    # Which tenants this process has sized for.
    turns: Turns = field(repr=False, default_factory=Turns)
    tracing: Tracing = field(repr=False, default=NO_TRACING)
    # SQLite has one writer at a time and lets the others poll for their turn; the threads of a process queue up here.
    writers_turn: AbstractContextManager[Any] = field(repr=False, default_factory=nullcontext)


def utc_now() -> datetime:
    """The time in UTC, with its zone."""
    return datetime.now(UTC)


def load_facts(settings: Settings, *, stored_predictions: bool = True) -> Facts:
    """Read and check everything under the configuration folder; what is predicted of published runs only who shows it
    needs, and it is a quarter of the work.
    """
    catalog = load_catalog(settings.config_dir, stored_predictions=stored_predictions)
    return Facts(catalog=catalog, price_book=load_price_book(settings.config_dir))


def build_runtime(
    settings: Settings,
    *,
    facts: Facts | None = None,
    queue: Queue | None = None,
    clock: Callable[[], datetime] = utc_now,
    metrics: Metrics | None = None,
    outbound: Outbound | None = None,
    tracing: Tracing = NO_TRACING,
) -> Runtime:
    """Wire the parts. Nothing connects before its first use, so a process may start while its neighbours are down.

    Without facts it reads them, but for the stored predictions.
    """
    facts = facts or load_facts(settings, stored_predictions=False)
    metrics = metrics or Metrics()
    metrics.expect(kind.value for kind in Kind)
    engine = make_engine(settings.database_url, pool_size=settings.web_threads, answers_within_s=ANSWERS_WITHIN_S)
    tracing.watch_engine(engine)
    sessions = sessionmaker(engine, expire_on_commit=False)
    reading = sessionmaker(engine_for_reading(engine), expire_on_commit=False)
    keep_to_tenants(engine, sessions, reading)
    return Runtime(
        settings=settings,
        sessions=sessions,
        reading=reading,
        kept_open=KeptOpen(engine, most_idle=settings.web_threads),
        cache=ResultCache(
            settings.cache_url, ttl_s=settings.cache_ttl_s, breaker_open_s=settings.breaker_open_s, metrics=metrics
        ),
        kept=Kept(most_bytes=settings.kept_bytes),
        queue=queue or CeleryQueue(settings),
        catalog=facts.catalog,
        price_book=facts.price_book,
        clock=clock,
        metrics=metrics,
        outbound=outbound or Outbound(allowed=parse_networks(settings.webhook_networks)),
        listeners=Listeners(memory_s=settings.webhook_memory_s),
        tracing=tracing,
        writers_turn=threading.RLock() if engine.dialect.name == "sqlite" else nullcontext(),
    )
