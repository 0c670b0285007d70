"""scripts/validate: the engine beside measured runs, as a table and as JSON lines."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson

from config.environment import ROOT
from scripts.options import parse
from scripts.trouble import Trouble
from scripts.validation.lines import BAD_FILE, read_lines
from scripts.validation.report import report
from scripts.validation.result import Choice, LineResult
from scripts.validation.work import catalog_of, results
from service.errors import FactsError
from service.sizing.version import ENGINE_VERSION


def main(arguments: list[str]) -> int:
    """Validate and print; 2 for a file that cannot be read or written, 1 for facts that are wrong."""
    options = parse("validate", arguments)
    config = ROOT / "config"
    started = time.perf_counter()
    choice = Choice(where=tuple(options.where), by=options.by)
    try:
        lines = read_lines(options.files)
        with _written(options.json) as out:
            found = list(_kept(results(lines, choice, config), out))
        if options.versions is not None:
            _write_versions(options.versions, config)
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    except FactsError as error:
        print(f"headroom: {error}", file=sys.stderr)
        return 1
    print(report(found, read=len(lines), by=options.by))
    seconds = time.perf_counter() - started
    print(f"{len(lines):,} lines in {seconds:.1f} s, {len(lines) / seconds:,.0f}/s", file=sys.stderr)
    return 0


def _kept(found: Iterable[LineResult], out: BinaryIO | None) -> Iterator[LineResult]:
    for result in found:
        if out is not None:
            out.writelines(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in result.objects)
        yield result


@contextmanager
def _written(path: Path | None) -> Iterator[BinaryIO | None]:
    """The file to write, whole or not at all: a half-written one would look like an answer."""
    if path is None:
        yield None
        return
    # A pipe or a terminal takes lines as they come, and nothing can take its place.
    whole = not path.exists() or path.is_file()
    fresh = path.with_name(f".{path.name}.{os.getpid()}") if whole else path
    try:
        with fresh.open("wb") as out:
            yield out
        if whole:
            fresh.replace(path)
    except OSError as error:
        raise Trouble(f"{path} cannot be written ({error.strerror}); name another --json.", code=BAD_FILE) from error
    finally:
        if whole:
            fresh.unlink(missing_ok=True)


def _write_versions(path: Path, config: Path) -> None:
    """What the predictions were made under, so that whoever shows them can tell whether they are stale."""
    catalog = catalog_of(config)
    versions = {
        "engine_version": ENGINE_VERSION,
        "calibration_version": catalog.calibration.version,
        "catalog_version": catalog.version,
    }
    try:
        path.write_bytes(orjson.dumps(versions, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise Trouble(f"{path} cannot be written ({error.strerror}); name another file.", code=BAD_FILE) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
