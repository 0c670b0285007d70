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


PARSERS = {"run": _run, "test": _test, "size": _size}


def parse(command: str, arguments: list[str]) -> argparse.Namespace:
    """The options of one starter; prints help or complains, and exits, like any command."""
    return PARSERS[command]().parse_args(arguments)
