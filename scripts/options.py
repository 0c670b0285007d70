"""What the starters can be told; standard library only, because --help works before anything is installed."""

import argparse
from pathlib import Path


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a number of options is at least 1")
    return value


def _run() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Start Headroom, size one example of each kind, show the answers, and keep serving until Ctrl-C.",
        epilog="DATABASE_URL, BROKER_URL and CACHE_URL, where set, take the place of the embedded SQLite and the "
        "embedded Redis-compatible servers. Logs lie in logs/ of the data folder. Every variable is in the README.",
    )
    parser.add_argument("--port", type=_port, help="port of the web (default: HEADROOM_PORT, else 8080)")
    parser.add_argument("--data-dir", type=Path, help="where state and logs live (default: .headroom)")
    examples = parser.add_mutually_exclusive_group()
    examples.add_argument("--no-examples", action="store_true", help="only serve")
    examples.add_argument("--exit-after-examples", action="store_true", help="stop once the examples are answered")
    return parser


def _test() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        description="Check everything, as CI does: lint, format, types, import contracts, tests.",
        epilog="Arguments after -- go to pytest, for example: scripts/test -- tests/sizing -x",
    )
    parser.add_argument("--no-slow", action="store_true", help="leave out tests that start whole processes")
    parser.add_argument("pytest", nargs="*", help=argparse.SUPPRESS)
    return parser


def _size() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/size",
        description="Size one workload file (the body of POST /v1/workloads) without database or Redis.",
        epilog="Exit code 0: answered, also when nothing fits; 2: the file is not a workload, and why.",
    )
    parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    parser.add_argument("--top", type=_positive, default=3, metavar="N", help="options to show (default: 3)")
    return parser


def _calibrate() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/calibrate",
        description="Fit config/calibration: what serving engines and trainings add to kernels, and rates of "
        "scientific applications, on the runs of config/evidence whose split is calibration, leaving out whole "
        "sources, models and GPUs in turn.",
        epilog="Takes about four minutes, of which training is two. Afterwards scripts/validate shows the errors, and "
        "its --help how the file of /v1/accuracy is written anew. Exit code 0: written; 1: runs that the file had been "
        "fitted on are refused now, each is told, and the file stays; 2: an option is wrong.",
    )
    parser.add_argument(
        "--kernels",
        type=_folder,
        metavar="FOLDER",
        help="first fit the curves of single operations on the Parquet tables of measured kernels in this folder "
        "(about 5 minutes more); without it config/calibration/kernels.yaml stays",
    )
    parser.add_argument(
        "--only",
        choices=("inference", "training", "science"),
        help="fit this kind alone; the files of the others stay as they are",
    )
    return parser


def _folder(text: str) -> Path:
    path = Path(text)
    if not (path / "gemm.parquet").is_file():
        raise argparse.ArgumentTypeError(f"{text} has no tables of measured kernels (gemm.parquet and others)")
    return path


def _bench() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure Headroom beside its limits and peers in one run, and judge the speed targets.",
        epilog="It starts an installation of its own on free ports of loopback, with embedded servers and a temporary "
        "data folder, and stops it at the end. HEADROOM_WEB_WORKERS, HEADROOM_WEB_THREADS, HEADROOM_WEB_CORES and "
        "HEADROOM_WORKER_CONCURRENCY apply; every other variable of an installation is left aside. "
        "The HTTP rows need wrk (Debian: apt-get install wrk). Exit code 0, whether the targets are met or not.",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=BENCH_PARTS,
        metavar="PART",
        help=f"{', '.join(BENCH_PARTS)}; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds: a first look, not figures to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every raw figure there")
    parser.add_argument("--write-readme", action="store_true", help="replace the table of the README by this run's")
    parser.add_argument(
        "--aiconfigurator", type=Path, metavar="PATH", help="the `aiconfigurator` of an environment of its own, to time"
    )
    return parser


def _faults() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Break Headroom on a rig of its own, again and again, and look whether anything that was "
        "acknowledged is lost, done twice or told to somebody else.",
        epilog="The rig is two web processes, two workers and two dispatchers on a PostgreSQL and two Redis-compatible "
        "servers of its own, each behind a proxy. The report goes to standard output, progress to standard error. "
        "The order of cases is random; the seed that is printed repeats it, and in each case what it draws: alone or "
        "among all. Exit code 0: every invariant held, every mutant was caught and, where all cases were run in full, "
        "enough jobs were acknowledged; 1: not, and what; 2: an option is wrong. A case that the host does not allow, "
        "such as 25 where nobody may mount a file system, leaves it at 0: the last line names it as not run.",
    )
    parser.add_argument(
        "cases", type=int, nargs="*", metavar="CASE", help="numbers of cases; all of the profile by default"
    )
    parser.add_argument(
        "--profile",
        choices=("quick", "full"),
        default="full",
        help="full: every case, with long outages and many rounds, an hour (the default); quick: short outages and "
        "few rounds of the cases that scripts/test runs, minutes",
    )
    parser.add_argument("--seed", type=int, help="order of an earlier run, and what its cases drew")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        default=Path(".headroom/faults.md"),
        help="write the report there too (default: %(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="keep ledger and logs of the rig, and say where")
    mutants = parser.add_mutually_exclusive_group()
    mutants.add_argument(
        "--mutants",
        action="store_true",
        help="afterwards also run builds that are broken on purpose, each of which must be caught: all of them, or "
        "those that the named cases show",
    )
    mutants.add_argument("--only-mutants", action="store_true", help="run these alone")
    return parser


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("a condition is KEY=VALUE, such as split=validation or model=qwen3-32b")
    return name, value


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError("groups are names or dotted keys with commas between, such as gpu,model")
    return names


def _validate() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/validate",
        description="Compare the engine with measured, published runs: one run a line, as in config/evidence/*.jsonl.",
        epilog="The table goes to standard output, progress to standard error. Only the workload, the deployment, the "
        "month of publication and the statistics of a line reach a prediction. Exit code 0, however wrong the lines "
        "or the engine are; 2: a file or an option is. What /v1/accuracy shows is written by: scripts/validate "
        "config/evidence/*.jsonl --where scope=timing --json config/calibration/accuracy.jsonl "
        "--versions config/calibration/accuracy.json",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file of JSON lines")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="write there one JSON object per line and metric, in the same order"
    )
    parser.add_argument("--versions", type=Path, metavar="OUT", help="write there what it was predicted under, as JSON")
    parser.add_argument(
        "--where",
        type=_condition,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only lines with this value under a dotted key (or kind, source, model, gpu, precision, mode); "
        "may be repeated, and all must hold",
    )
    parser.add_argument(
        "--by",
        type=_groups,
        default=(),
        metavar="KEY,...",
        help="split the table by these: kind, source, model, gpu, precision, mode, or dotted keys",
    )
    return parser


def _backup() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/backup",
        description="Write all that an installation must not lose into FILE, while it runs; or restore it from there.",
        epilog="The installation is that of DATABASE_URL, else the embedded one of the data folder. PostgreSQL needs "
        "pg_dump and pg_restore of its own version or a newer one. Stop the installation before a restore; broker and "
        "cache need none, they are made again from the database. A backup of an older release is brought to the schema "
        "of this one. FILE holds customers' data and is readable by its owner only. Exit code 0: done and checked; 1: "
        "not done, and why.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the backup, such as headroom-2026-11-29.tar")
    parser.add_argument("--restore", action="store_true", help="restore the installation from FILE")
    parser.add_argument("--replace", action="store_true", help="with --restore, in the place of what is there")
    parser.add_argument("--data-dir", type=Path, help="that of the embedded default (default: .headroom)")
    return parser


def _compare() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/compare",
        description="Tell which answers moved between two git revisions, by how much, and which stopped working.",
        epilog="Each revision is checked out into a folder of its own and asked in this environment; NEW may be . for "
        "the tree as it is. Asked are config/examples, every body that the document shows, and a sample of questions "
        "over models, loads and limits that stands in scripts/comparison/sample.py. Exit code 0, however much moved; "
        "1: something that was answered before fails now; 2: a revision or an option is wrong.",
    )
    parser.add_argument("old", metavar="OLD", help="a revision, such as main or HEAD~1")
    parser.add_argument("new", metavar="NEW", nargs="?", default=".", help="another one (default: ., this tree)")
    parser.add_argument("--json", action="store_true", help="print every answer that differs as JSON")
    parser.add_argument(
        "--threshold", type=float, default=0.05, metavar="SHARE", help="what counts as moved (default: 0.05)"
    )
    parser.add_argument("--only", metavar="WORD", help="only questions with this word in their name")
    return parser


BENCH_PARTS = ("engine", "http", "tasks", "batch", "occurrences", "quotes", "pages", "memory", "peers")
PARSERS = {
    "backup": _backup,
    "bench": _bench,
    "calibrate": _calibrate,
    "compare": _compare,
    "faults": _faults,
    "run": _run,
    "test": _test,
    "size": _size,
    "validate": _validate,
}


def parse(command: str, arguments: list[str]) -> argparse.Namespace:
    """The options of one starter; prints help or complains, and exits, like any command."""
    return PARSERS[command]().parse_args(arguments)
