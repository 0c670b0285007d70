"""Makes the virtual environment with the locked dependencies, then becomes the command; standard library only."""

import fcntl
import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
# This file runs before anything is installed, and from any folder: it brings its own path.
sys.path.insert(0, str(ROOT))

from scripts.options import parse  # noqa: E402  # the path comes first
from scripts.trouble import Trouble  # noqa: E402  # the same

RUNTIME = "requirements.lock"
TESTS = "tests/requirements.lock"
CALIBRATION = "scripts/calibration/requirements.lock"
FAULTS = "scripts/faulting/requirements.lock"
BROWSER = "scripts/benchmark/requirements.lock"
LOCKS = {
    "backup": (RUNTIME,),
    "calibrate": (RUNTIME, CALIBRATION),
    "compare": (RUNTIME,),
    "bench": (RUNTIME, BROWSER),
    "faults": (RUNTIME, FAULTS),
    "run": (RUNTIME,),
    "size": (RUNTIME,),
    "test": (RUNTIME, TESTS, CALIBRATION),
    "validate": (RUNTIME,),
}
MODULES = {
    "backup": "scripts.upkeep.command",
    "bench": "scripts.benchmark.command",
    "calibrate": "scripts.calibration.command",
    "compare": "scripts.comparison.command",
    "faults": "scripts.faulting.command",
    "run": "scripts.serve",
    "size": "scripts.size_file",
    "test": "scripts.checks",
    "validate": "scripts.validation.command",
}
_COMPILE = """
import compileall, functools, pathlib, sys, sysconfig
from concurrent.futures import ProcessPoolExecutor
packages = pathlib.Path(sysconfig.get_path("purelib"))
paths = [path for path in packages.rglob("*.py") if "tests" not in path.relative_to(packages).parts]
print(flush=True)
one = functools.partial(compileall.compile_file, quiet=2)
if sys.argv[1:] == ["beside"]:
    for path in paths: one(path)
else:
    with ProcessPoolExecutor() as pool: list(pool.map(one, paths, chunksize=50))
"""
_URL = re.compile(r"\w+://\S+")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ConnectionError|Max retries|Temporary failure|Read timed out"
    r"|No matching distribution"
)


def environment_folder() -> Path:
    """Where the virtual environment lives: beside the code, unless HEADROOM_VENV says otherwise."""
    given = os.environ.get("HEADROOM_VENV", "")
    return Path(given).expanduser().resolve() if given else ROOT / ".venv"


def say(text: str, *, end: str = "\n") -> None:
    """Progress goes to standard error: standard output belongs to the answer."""
    print(text, end=end, file=sys.stderr, flush=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock on the code's folder, so that two starters do not install into one environment."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _works(python: Path) -> bool:
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_environment(folder: Path) -> Path:
    """Make the virtual environment unless a working one is there; returns its Python."""
    python = folder / "bin" / "python"
    if _works(python):
        return python
    say(f"Making the virtual environment {folder} ...")
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", folder], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return python
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise Trouble(
            f"{folder} cannot be written: have its owner run this once, or name another place: "
            f"HEADROOM_VENV=~/.headroom-venv scripts/{sys.argv[1]}"
        )
    words = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
    raise Trouble(f"Python could not make the virtual environment {folder}: {words[-1]}")


def _fingerprint(lock: Path, python: Path) -> str:
    version = subprocess.run([python, "-VV"], capture_output=True, check=True).stdout
    return hashlib.sha256(lock.read_bytes() + version).hexdigest()


def _mark(lock: Path, folder: Path) -> Path:
    """Where the environment says what of a lock was installed."""
    return folder / f"{'-'.join(lock.relative_to(ROOT).parts)}.sha256"


def _is_complete(folder: Path, locks: tuple[str, ...]) -> bool:
    """Whether its Python runs, and has all that the locks name: pip is needed by those alone who install something."""
    marks = {name: _mark(ROOT / name, folder) for name in locks}
    if not all(mark.exists() for mark in marks.values()):
        return False
    python = folder / "bin" / "python"
    try:
        return all(mark.read_text("ascii") == _fingerprint(ROOT / name, python) for name, mark in marks.items())
    except (OSError, subprocess.CalledProcessError):
        return False


def _why(lines: list[str], lock: Path) -> str:
    text = "\n".join(lines)
    if "DO NOT MATCH THE HASHES" in text:
        return f"A downloaded package is not the one that {lock.name} names (its hash differs); nothing was installed."
    if "No space left" in text:
        return "The disk is full; free some space and start again."
    if _NO_NETWORK.search(text):
        return (
            "pip could not fetch the packages: check the network, or the proxy and index that pip is configured with "
            "(pip config list), and start again."
        )
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no reason given"]
    return f"pip could not install {lock.name}: {errors[-1].removeprefix('ERROR: ')}"


def _show_progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        say(f"\r  {done:3d} of about {total}: {name:<40}", end="")
    elif done % 20 == 0:
        say(f"  {done} of about {total}")


def install(lock: Path, python: Path, folder: Path) -> bool:
    """Install what a lock names, every file checked against its hash; False where that was done before."""
    mark, fingerprint = _mark(lock, folder), _fingerprint(lock, python)
    if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
        return False
    total = len(re.findall(r"^\S+==", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))
    say(f"Installing the packages of {lock.relative_to(ROOT)} ...")
    command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    lines: list[str] = []
    collected = 0
    with subprocess.Popen(
        [*command, "--no-compile", "--progress-bar", "off", "-r", str(lock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            # Where packages come from is the machine's business: addresses are neither shown nor kept.
            lines.append(_URL.sub("<address>", line.rstrip()))
            if found := re.match(r"(?:Collecting|Processing) (?:.*/)?(\S+)", line):
                collected += 1
                _show_progress(found[1], collected, total)
            elif line.startswith("Installing collected"):
                say(("\r" if sys.stderr.isatty() else "") + f"  unpacking {collected} packages {'':<40}")
    if pip.returncode != 0:
        raise Trouble(_why(lines, lock))
    mark.write_text(fingerprint, encoding="ascii")
    return True


def compile_packages(python: Path) -> None:
    """Compile what was installed, on all cores: pip would do so on one, and take as long as for all the rest.

    The packages' own tests, which are a quarter of it, nobody imports.
    """
    # Some packages hold files that are wrong on purpose; what is not compiled here is when it is imported.
    subprocess.run([python, "-c", _COMPILE], capture_output=True, check=False)


def compile_beside(python: Path) -> subprocess.Popen[bytes]:
    """Begin to compile what is there by now, and nothing that somebody unpacks meanwhile; pip leaves a core idle."""
    command = [str(python), "-c", _COMPILE, "beside"]
    compiling = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert compiling.stdout is not None
    # It has seen what there is.
    compiling.stdout.readline()
    return compiling


def _install_all(locks: tuple[str, ...], python: Path, folder: Path) -> None:
    beside: list[subprocess.Popen[bytes]] = []
    installed = False
    try:
        for number, name in enumerate(locks, start=1):
            if install(ROOT / name, python, folder):
                installed = True
                if number < len(locks):
                    beside.append(compile_beside(python))
    finally:
        for compiling in beside:
            compiling.communicate()
    if installed:
        compile_packages(python)


def add_command(python: Path) -> None:
    """Put `headroom` beside the environment's Python: it starts the client of this tree from any folder.

    Another tree that shares the environment keeps the command that it has put there.
    """
    launcher = python.with_name("headroom")
    # Neither the folder that it is called in nor the caller's PYTHONPATH may lend it another `service`.
    path, client = f"PYTHONPATH={shlex.quote(str(ROOT))}", f"{shlex.quote(str(python))} -P -m service.client"
    text = f'#!/bin/sh\n{path} exec {client} "$@"\n'
    there = launcher.read_text(encoding="utf-8") if launcher.exists() else ""
    if there == text:
        return
    owner = _tree_of(there)
    if owner not in {None, ROOT}:
        say(f"{launcher} starts the code of {owner}; the command of {ROOT} is: {path} {client}")
        return
    # Replaced whole: somebody may be starting it just now.
    fresh = launcher.with_name(f"headroom.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(launcher)


def _tree_of(launcher: str) -> Path | None:
    """The tree whose client a launcher starts; None when there is no such tree (any more)."""
    found = re.search(r"^PYTHONPATH=.*", launcher, flags=re.MULTILINE)
    if found is None:
        return None
    tree = Path(shlex.split(found[0])[0].removeprefix("PYTHONPATH="))
    return tree if (tree / "service" / "client").is_dir() else None


def set_up(command: str) -> Path:
    """Everything that a starter needs; returns the Python to run it with."""
    folder = environment_folder()
    with one_at_a_time():
        complete = _is_complete(folder, LOCKS[command])
        python = folder / "bin" / "python" if complete else make_environment(folder)
        try:
            if not complete:
                _install_all(LOCKS[command], python, folder)
            add_command(python)
        except OSError as error:
            raise Trouble(
                f"{folder} cannot be written ({error.strerror}): have its owner run this once, or name another place: "
                f"HEADROOM_VENV=~/.headroom-venv scripts/{command}"
            ) from None
    return python


def become(python: Path, command: str, arguments: list[str]) -> NoReturn:
    """Replace this process by the command; it finds the code wherever it was started from."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONHOME", None)
    os.execve(python, [str(python), "-P", "-m", MODULES[command], *arguments], environ)


def main(arguments: list[str]) -> int:
    """Check the options, set up, and become the command."""
    command, *rest = arguments
    # Complains about options, and helps, before a minute of installing.
    parse(command, rest)
    try:
        python = set_up(command)
    except Trouble as trouble:
        say(f"headroom: {trouble}")
        return trouble.code
    except KeyboardInterrupt:
        say("\nheadroom: interrupted; start again to continue.")
        return 130
    become(python, command, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
