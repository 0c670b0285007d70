"""scripts/size: one workload file is sized without database or Redis, by the engine that a worker uses."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import orjson
from marshmallow import ValidationError
from rich.console import Console

from config.environment import ROOT
from scripts.options import parse
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.catalog.resolve import resolve
from service.client.answers import make_console, print_result
from service.client.files import FileError, read_file
from service.client.reader import while_read
from service.errors import FactsError, FieldError, PlannerError
from service.quoting.indicative import beside_weight, priced, weights
from service.quoting.prices import PriceBook
from service.schemas.issue import field_errors
from service.schemas.json_text import parse_json
from service.schemas.result import PricedResultSchema
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.size import size

WRONG_FILE = 2
LARGEST_BYTES = 1_000_000

Facts = tuple[Catalog, PriceBook]


def _own_facts() -> Facts:
    return load_catalog(ROOT / "config"), load_price_book(ROOT / "config")


def answer(body: bytes, given: Facts | None) -> tuple[SizingRequest, dict[str, Any]]:
    """The request in the file and its priced result, as it would be on the wire."""
    request: SizingRequest = SizingRequestSchema().load(parse_json(body))
    catalog, book = given or _own_facts()
    resolved = resolve(catalog, request.question)
    result = size(
        resolved.question,
        hardware=catalog.hardware,
        architecture=resolved.architecture,
        application=resolved.application,
        calibration=catalog.calibration,
        weight=weights(catalog.hardware, book),
        beside_weight=beside_weight(catalog.hardware, book),
    )
    dumped: dict[str, Any] = PricedResultSchema().dump(priced(result, catalog.hardware, book))
    return request, dumped


def _sentences(errors: tuple[FieldError, ...]) -> Iterator[str]:
    for error in errors:
        given = f" (given: {error.value})" if error.value is not None else ""
        meant = f" Did you mean {' or '.join(error.did_you_mean)}?" if error.did_you_mean else ""
        yield f"{error.field}: {error.message}{given}{meant}"


def main(arguments: list[str], given: Facts | None = None) -> int:
    """Size the file and print the answer; 2 when the file is not a workload that can be sized.

    A caller from Python may give facts that it has read.
    """
    options = parse("size", arguments)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.perf_counter()
    try:
        request, result = answer(read_file(options.file, most_bytes=LARGEST_BYTES), given)
    except ValidationError as error:
        sentences = list(_sentences(field_errors(error.messages)))
    except FactsError as error:
        complaints.print(f"headroom: {error}", style="red", markup=False)
        return 1
    except PlannerError as error:
        sentences = list(_sentences(error.detail.errors)) or [error.message]
    except FileError as error:
        sentences = [str(error)]
    else:
        if options.json:
            sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
            return 0
        note = f"sized in {time.perf_counter() - started:.2f} s, facts included"
        print_result(make_console(), request.name or options.file, result, note=note, top=options.top)
        return 0
    for sentence in sentences:
        complaints.print(f"headroom: {sentence}", style="red", markup=False)
    return WRONG_FILE


if __name__ == "__main__":
    with while_read():
        ending = main(sys.argv[1:])
    sys.exit(ending)
