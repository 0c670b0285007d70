"""Under which versions this process answers, and the digest that a question has under them."""

import functools

from service.planning.transact import transact
from service.runtime import Runtime
from service.schemas.digest import question_digest
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Question
from service.store import releases
from service.store.runs import Versions


def current_versions(runtime: Runtime) -> Versions:
    """Catalog, calibration, engine and price book of this process."""
    catalog = runtime.catalog
    return _versions(catalog.version, catalog.calibration.version, runtime.price_book.digest)


# A process has one of these for its life, and every question needs it.
@functools.lru_cache(16)
def _versions(catalog: str, calibration: str, price_book_digest: str) -> Versions:
    return Versions(
        catalog=catalog, calibration=calibration, engine=ENGINE_VERSION, price_book_digest=price_book_digest
    )


def digest_of(question: Question, versions: Versions) -> str:
    """Identity of the question. Options are ranked by cost, so the price book is part of it."""
    return question_digest(
        question,
        catalog_version=versions.catalog,
        calibration_version=versions.calibration,
        engine_version=versions.engine,
        price_book_digest=versions.price_book_digest,
    )


def record_release(runtime: Runtime) -> bool:
    """Write down that this installation runs these versions; True for the first process that does."""
    versions = current_versions(runtime)
    now = runtime.clock()
    return transact(
        runtime,
        lambda session: releases.record(
            session,
            catalog_version=versions.catalog,
            calibration_version=versions.calibration,
            engine_version=versions.engine,
            price_book_digest=versions.price_book_digest or "",
            now=now,
        ),
    )
