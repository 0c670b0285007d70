"""scripts/size: one workload file is sized without database or Redis, by the engine that a worker uses."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from marshmallow import ValidationError
from rich.console import Console

from config.environment import ROOT
from scripts.answers import make_console, print_result
from scripts.options import parse
from scripts.trouble import Trouble
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.catalog.resolve import resolve
from service.edge.body import parse_json
from service.errors import FactsError, FieldError, PlannerError
from service.quoting.indicative import priced, weights
from service.schemas.issue import field_errors
from service.schemas.result import PricedResultSchema
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.size import size

WRONG_FILE = 2
LARGEST_BYTES = 1_000_000


def read(name: str) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as source:
            body = source.read(LARGEST_BYTES + 1)
    except IsADirectoryError:
        raise Trouble(f"{name} is a folder, not a workload file.", code=WRONG_FILE) from None
    except OSError as error:
        raise Trouble(f"{name} cannot be read: {error.strerror}.", code=WRONG_FILE) from None
    if len(body) > LARGEST_BYTES:
        raise Trouble(f"{name} is larger than {LARGEST_BYTES:,} bytes: that is not one workload.", code=WRONG_FILE)
    return body


def answer(body: bytes) -> tuple[SizingRequest, dict[str, Any]]:
    """The request in the file and its priced result, as it would be on the wire."""
    request: SizingRequest = SizingRequestSchema().load(parse_json(body))
    catalog, book = load_catalog(ROOT / "config"), load_price_book(ROOT / "config")
    resolved = resolve(catalog, request.question)
    result = size(
        resolved.question,
        hardware=catalog.hardware,
        architecture=resolved.architecture,
        application=resolved.application,
        calibration=catalog.calibration,
        weight=weights(catalog.hardware, book),
    )
    dumped: dict[str, Any] = PricedResultSchema().dump(priced(result, catalog.hardware, book))
    return request, dumped


def _sentences(errors: tuple[FieldError, ...]) -> Iterator[str]:
    for error in errors:
        given = f" (given: {error.value})" if error.value is not None else ""
        meant = f" Did you mean {' or '.join(error.did_you_mean)}?" if error.did_you_mean else ""
        yield f"{error.field}: {error.message}{given}{meant}"


def main(arguments: list[str]) -> int:
    """Size the file and print the answer; 2 when the file is not a workload that can be sized."""
    options = parse("size", arguments)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.perf_counter()
    try:
        request, result = answer(read(options.file))
    except ValidationError as error:
        sentences = list(_sentences(field_errors(error.messages)))
    except FactsError as error:
        complaints.print(f"headroom: {error}", style="red", markup=False)
        return 1
    except PlannerError as error:
        sentences = list(_sentences(error.detail.errors)) or [error.message]
    except Trouble as trouble:
        complaints.print(f"headroom: {trouble}", style="red", markup=False)
        return trouble.code
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
    sys.exit(main(sys.argv[1:]))
