"""scripts/bench: measures the parts that were asked for in one run, shows them, and judges the speed targets."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from config.environment import ROOT, SettingsError
from scripts import chromium
from scripts.benchmark import (
    batch,
    batch_table,
    engine,
    engine_table,
    memory,
    memory_table,
    occurrences,
    occurrences_table,
    pages,
    pages_table,
    peers,
    peers_table,
    procfs,
    quotes,
    quotes_table,
    readme,
    table,
    targets,
    tasks,
    tasks_table,
    web,
    web_table,
    wrk,
)
from scripts.benchmark.batch import BatchFigures
from scripts.benchmark.engine import EngineFigures
from scripts.benchmark.installation import Installation, installed
from scripts.benchmark.machine import Machine, this_machine
from scripts.benchmark.memory import MemoryFigures
from scripts.benchmark.occurrences import OccurrenceFigures
from scripts.benchmark.pages import PageFigures
from scripts.benchmark.peers import PeerFigures
from scripts.benchmark.quotes import QuoteFigures
from scripts.benchmark.table import Section
from scripts.benchmark.tasks import TaskFigures
from scripts.benchmark.web import WebFigures
from scripts.options import BENCH_PARTS, parse
from scripts.supervisor import Interrupted, Supervisor
from scripts.trouble import Trouble
from service.client.answers import make_console
from service.errors import PlannerError

INTERRUPTED = 130
Say = Callable[[str], None]
Figures = (
    BatchFigures
    | EngineFigures
    | WebFigures
    | TaskFigures
    | OccurrenceFigures
    | QuoteFigures
    | PageFigures
    | MemoryFigures
    | PeerFigures
)


@dataclass(slots=True, kw_only=True)
class Report:
    """What was measured: tables for people, raw figures for programs, the verdicts."""

    machine: Machine
    quick: bool
    sections: list[Section] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    verdicts: list[targets.Target] = field(default_factory=list)

    def add(self, part: str, figures: Figures, section: Section) -> None:
        """One part that was measured."""
        self.raw[part] = asdict(figures)
        self.sections.append(section)


def parts_of(options: Namespace) -> tuple[str, ...]:
    """The parts to measure, in their order; peers only where one is named."""
    if options.only:
        parts = tuple(part for part in BENCH_PARTS if part in options.only)
    else:
        parts = tuple(part for part in BENCH_PARTS if part != "peers" or options.aiconfigurator)
    if options.write_readme and (options.only or options.quick):
        raise Trouble("The README's table is of one whole run: --write-readme goes with neither --only nor --quick.")
    if "peers" in parts and options.aiconfigurator is None:
        raise Trouble(
            "Which peer? Install AIConfigurator into an environment of its own (python3 -m venv DIR; "
            "DIR/bin/pip install aiconfigurator) and name it: scripts/bench --aiconfigurator DIR/bin/aiconfigurator"
        )
    return parts


def measure(options: Namespace, supervisor: Supervisor, say: Say) -> Report:
    """Every part in its order; the installation runs only where a part needs it."""
    if not procfs.PROC.joinpath("self", "stat").exists():
        raise Trouble("scripts/bench reads CPU time and memory from /proc: it needs Linux.")
    parts = parts_of(options)
    report = Report(machine=this_machine(), quick=options.quick)
    if "http" in parts:
        # A missing load client is told now, not after minutes.
        wrk.need(say)
    if "pages" in parts:
        chromium.need(say)
    if "engine" in parts:
        of_engine = engine.measure(rounds=5 if report.quick else 100, many=100 if report.quick else 1_000, say=say)
        report.add("engine", of_engine, engine_table.section(of_engine))
        report.verdicts.append(engine_table.judge(of_engine))
    if {"http", "tasks", "batch", "occurrences", "quotes", "pages", "memory"} & set(parts):
        with installed(supervisor, say) as installation:
            _of_installation(report, installation, parts, say)
    if "peers" in parts:
        of_peers = peers.measure(options.aiconfigurator.absolute(), rounds=1 if report.quick else 5, say=say)
        report.add("peers", of_peers, peers_table.section(of_peers))
    return report


def _of_installation(report: Report, installation: Installation, parts: Sequence[str], say: Say) -> None:
    idle = memory.look(installation)
    loads = []
    if "http" in parts:
        rounds, seconds = (2, 1) if report.quick else (5, 3)
        of_web = web.measure(installation, rounds=rounds, seconds=seconds, say=say)
        report.add("http", of_web, web_table.section(of_web))
        report.verdicts += targets.judge(of_web)
        loads.append("the HTTP rows")
    if "tasks" in parts:
        of_tasks = tasks.measure(installation, rounds=2 if report.quick else 20, say=say)
        report.add("tasks", of_tasks, tasks_table.section(of_tasks))
        loads.append("the round trips")
    if "batch" in parts:
        items, loop_items = (500, 50) if report.quick else (10_000, 500)
        of_batch = batch.measure(installation, items=items, loop_items=loop_items, say=say)
        report.add("batch", of_batch, batch_table.section(of_batch))
        report.verdicts.append(batch_table.judge(of_batch))
        loads.append("the batches")
    if "occurrences" in parts:
        of_occurrences = occurrences.measure(installation, items=50 if report.quick else 1_000, say=say)
        report.add("occurrences", of_occurrences, occurrences_table.section(of_occurrences))
        loads.append("the occurrences")
    if "quotes" in parts:
        of_quotes = quotes.measure(installation, rounds=3 if report.quick else 30, say=say)
        report.add("quotes", of_quotes, quotes_table.section(of_quotes))
        report.verdicts += quotes_table.judge(of_quotes)
        loads.append("the quotes")
    if "pages" in parts:
        of_pages = pages.measure(installation, rounds=2 if report.quick else 9, say=say)
        report.add("pages", of_pages, pages_table.section(of_pages))
        loads.append("the pages")
    if "memory" in parts:
        say("memory: looking at each process")
        load = " and ".join(loads) or memory.own_load(installation)
        of_memory = MemoryFigures(idle=idle, after=memory.look(installation), load=load)
        report.add("memory", of_memory, memory_table.section(of_memory))


def show(report: Report, console: Console) -> None:
    """The tables, then whether the targets are met."""
    console.print(report.machine.sentence(), markup=False)
    if report.quick:
        console.print("Short rounds: a first look, not figures to quote.", style="yellow")
    console.print()
    for section in report.sections:
        table.show(console, section)
    for verdict in report.verdicts:
        console.print(verdict.sentence(), style="green" if verdict.met else "red", markup=False)


def write_json(report: Report, path: Path) -> None:
    """Every raw figure, round by round."""
    document = {
        "machine": asdict(report.machine),
        "quick": report.quick,
        **report.raw,
        "targets": [asdict(verdict) for verdict in report.verdicts],
    }
    try:
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise Trouble(f"{path} cannot be written ({error.strerror}).") from None


def main(arguments: list[str]) -> int:
    """Measure and show; 1 when something could not be measured, whatever the figures are."""
    options = parse("bench", arguments)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        complaints.print(f"bench: {text}", style="dim", markup=False)

    supervisor = Supervisor(say=say)
    supervisor.handle_signals()
    try:
        report = measure(options, supervisor, say)
        show(report, make_console())
        if options.json is not None:
            write_json(report, options.json)
        if options.write_readme:
            readme.write(ROOT / "README.md", readme.text(report.machine.sentence(), report.sections, report.verdicts))
    except Interrupted:
        return INTERRUPTED
    except (Trouble, SettingsError, PlannerError) as trouble:
        complaints.print(f"headroom: {trouble}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
