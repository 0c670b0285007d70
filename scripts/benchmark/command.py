"""scripts/bench: measures the parts that were asked for in one run, shows them, and judges the speed targets."""

import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from config.environment import SettingsError
from scripts.benchmark import procfs, table, targets, web, web_table
from scripts.benchmark.installation import Installation, installed
from scripts.benchmark.machine import Machine, this_machine
from scripts.benchmark.table import Section
from scripts.options import BENCH_PARTS, parse
from scripts.supervisor import Interrupted, Supervisor
from scripts.trouble import Trouble
from service.client.answers import make_console
from service.errors import PlannerError

INTERRUPTED = 130
Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Report:
    """What was measured: tables for people, raw figures for programs, the verdicts."""

    machine: Machine
    quick: bool
    sections: list[Section] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    verdicts: list[targets.Target] = field(default_factory=list)


def measure(options: Namespace, supervisor: Supervisor, say: Say) -> Report:
    """Every part in its order; the installation runs only where a part needs it."""
    if not procfs.PROC.joinpath("self", "stat").exists():
        raise Trouble("scripts/bench reads CPU time and memory from /proc: it needs Linux.")
    parts = tuple(part for part in BENCH_PARTS if not options.only or part in options.only)
    report = Report(machine=this_machine(), quick=options.quick)
    with ExitStack() as stack:
        if "http" in parts:
            installation = stack.enter_context(installed(supervisor, say))
            _web(report, installation, say)
    return report


def _web(report: Report, installation: Installation, say: Say) -> None:
    figures = web.measure(installation, rounds=2 if report.quick else 5, seconds=1 if report.quick else 3, say=say)
    report.sections.append(web_table.section(figures))
    report.raw["http"] = asdict(figures)
    report.verdicts += targets.judge(figures)


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
    except Interrupted:
        return INTERRUPTED
    except (Trouble, SettingsError, PlannerError) as trouble:
        complaints.print(f"headroom: {trouble}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
