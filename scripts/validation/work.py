"""The lines over all processors, in chunks that keep their order."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from scripts.validation.lines import Line
from scripts.validation.result import Choice, LineResult, result_of
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog

# Small enough that both processors end together, large enough that handing over costs nothing.
_CHUNK = 64
_SECONDS_BETWEEN_WORDS = 2.0
_held: dict[Path, Catalog] = {}


def catalog_of(config_dir: Path) -> Catalog:
    """The catalog of this process; read once."""
    if config_dir not in _held:
        _held[config_dir] = load_catalog(config_dir, stored_predictions=False)
    return _held[config_dir]


def results(lines: list[Line], choice: Choice, config_dir: Path) -> Iterator[LineResult]:
    """The result of every line that was chosen, in order; progress goes to standard error."""
    chunks = [tuple(lines[start : start + _CHUNK]) for start in range(0, len(lines), _CHUNK)]
    work = partial(_chunk, choice=choice, config_dir=config_dir)
    # Before the processes part, so that each finds the catalog read.
    catalog_of(config_dir)
    processes = min(len(os.sched_getaffinity(0)), len(chunks))
    if processes <= 1:
        yield from _told(map(work, chunks), of=len(lines))
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        yield from _told(pool.map(work, chunks), of=len(lines))


def _chunk(chunk: tuple[Line, ...], *, choice: Choice, config_dir: Path) -> tuple[int, list[LineResult]]:
    catalog = catalog_of(config_dir)
    found = (result_of(catalog, line, choice) for line in chunk)
    return len(chunk), [result for result in found if result is not None]


def _told(chunks: Iterator[tuple[int, list[LineResult]]], *, of: int) -> Iterator[LineResult]:
    done, said = 0, time.monotonic()
    for lines, found in chunks:
        done += lines
        for result in found:
            if result.trouble:
                print(f"headroom: the engine failed on {result.trouble}", file=sys.stderr)
        yield from found
        if time.monotonic() - said > _SECONDS_BETWEEN_WORDS and done < of:
            said = time.monotonic()
            print(f"{done:,} of {of:,} lines", file=sys.stderr, flush=True)
