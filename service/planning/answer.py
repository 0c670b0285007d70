"""From a question to its answer: resolve, weigh, size, price, and write it down canonically. Touches no database."""

from dataclasses import dataclass

import orjson

from service.catalog.resolve import Resolved, resolve
from service.planning.versions import current_versions, digest_of
from service.quoting.indicative import PricedResult, beside_weight, priced, weights
from service.runtime import Runtime
from service.schemas.digest import sorted_json
from service.schemas.result import VERSION_FIELDS, ResultSchema, WorkingStepSchema
from service.schemas.workload import QUESTION
from service.schemas.writer import writer
from service.sizing.size import size
from service.store.results import StoredAnswer
from service.store.runs import Versions

_result = writer(ResultSchema(exclude=VERSION_FIELDS))
_step = writer(WorkingStepSchema())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer under the digest that the question has with the versions of whoever answered."""

    digest: str
    versions: Versions
    stored: StoredAnswer


def answer(runtime: Runtime, question: str) -> Answer:
    """Size the question (canonical JSON) with this process's catalog, calibration, engine and price book."""
    resolved = resolve(runtime.catalog, QUESTION.load(orjson.loads(question)))
    versions = current_versions(runtime)
    return at_rest(sized(runtime, resolved), digest=digest_of(resolved.question, versions), versions=versions)


def sized(runtime: Runtime, resolved: Resolved) -> PricedResult:
    """The engine's answer to a question whose names are resolved, with what it costs."""
    hardware, book = runtime.catalog.hardware, runtime.price_book
    result = size(
        resolved.question,
        hardware=hardware,
        architecture=resolved.architecture,
        application=resolved.application,
        calibration=runtime.catalog.calibration,
        weight=weights(hardware, book),
        beside_weight=beside_weight(hardware, book),
    )
    return priced(result, hardware, book)


def at_rest(result: PricedResult, *, digest: str, versions: Versions) -> Answer:
    """The answer as it is kept: the body is what every caller reads, to the byte."""
    written = _result(result)
    working = {str(option.rank): [_step(step) for step in option.working] for option in result.result.options}
    body = {
        **written,
        "catalog_version": versions.catalog,
        "calibration_version": versions.calibration,
        "price_book_digest": versions.price_book_digest,
        "digest": digest,
    }
    stored = StoredAnswer(body=sorted_json(body), working=sorted_json(working), feasible=bool(written["feasible"]))
    return Answer(digest=digest, versions=versions, stored=stored)
