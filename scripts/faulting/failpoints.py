"""Where a process of the rig may be made to die, to dawdle or to hang: files in a folder say when, each file once."""

import json
import os
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from service.queue import TimeLimitReached

FOLDER_VARIABLE = "HEADROOM_FAULTS_DIR"
# When a worker's Kombu gives back what nobody acknowledged: after so many seconds, or as Kombu does by itself.
KOMBU_VARIABLE = "HEADROOM_FAULTS_KOMBU"
KOMBU_BY_ITSELF = "by itself"
_NAMES = "names"
# What the broker does when its memory is full; a mutant has it evict.
BROKER_VARIABLE = "HEADROOM_FAULTS_BROKER"
NOEVICTION = "noeviction"
_HOLDS_ON_S = 0.05
_PIECE_BYTES = 16 * 1024 * 1024


class Failpoint(StrEnum):
    """Where a process dies."""

    COMMITTED = "web: committed, not published"
    PUBLISHED = "web: published, not remembered"
    STORED = "worker: result stored, not acknowledged"


class Trait(StrEnum):
    """What the engine does with a question whose text holds the file's words; every question where it holds none."""

    SLOW = "slow"
    POISON = "poison"
    HANGING = "hanging"
    STUBBORN = "stubborn"
    BUSY = "busy"
    HOARDING = "hoarding"


class Failpoints:
    """The driver arms them; the processes of the rig pass them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arm(self, point: Failpoint, times: int = 1) -> None:
        """The next so many processes that pass the point die there."""
        for n in range(times):
            (self._folder / f"{point.name}.{n}").touch()

    def disarm(self) -> None:
        """Nothing fails any more."""
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)

    def armed(self, point: Failpoint) -> int:
        """How many have not died there yet."""
        return len(list(self._folder.glob(f"{point.name}.*")))

    def set(self, trait: Trait, words: str = "", *, seconds: float = 0.0) -> None:
        """Give questions with these words a trait."""
        beside = self._folder / f"new {trait}"
        beside.write_text(f"{seconds}\n{words}", encoding="utf-8")
        beside.replace(self._folder / trait)

    def unset(self, trait: Trait) -> None:
        """Take a trait away."""
        (self._folder / trait).unlink(missing_ok=True)

    def lead(self, names: Mapping[str, str]) -> None:
        """From now on these names lead to these addresses."""
        beside = self._folder / f"new {_NAMES}"
        beside.write_text(json.dumps(dict(names)), encoding="utf-8")
        beside.replace(self._folder / _NAMES)

    def names(self) -> dict[str, str]:
        """Where the names of the rig lead."""
        try:
            found: dict[str, str] = json.loads((self._folder / _NAMES).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def passed(self, point: Failpoint) -> None:
        """Die here, if it is armed."""
        for path in self._folder.glob(f"{point.name}.*"):
            # Whoever removes it is the one that it was for.
            with suppress(FileNotFoundError):
                path.unlink()
                os.kill(os.getpid(), signal.SIGKILL)

    def asked(self, question: str) -> None:
        """What happens to the engine that is asked this."""
        if (seconds := self._trait(Trait.SLOW, question)) is not None:
            time.sleep(seconds)
        if self._trait(Trait.POISON, question) is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        if (seconds := self._trait(Trait.HANGING, question)) is not None:
            time.sleep(seconds)
        if (seconds := self._trait(Trait.BUSY, question)) is not None:
            _compute(seconds)
        if (seconds := self._trait(Trait.STUBBORN, question)) is not None:
            _hang_on(seconds)
        if self._trait(Trait.HOARDING, question) is not None:
            _hoard()

    def _trait(self, trait: Trait, question: str) -> float | None:
        try:
            seconds, _, words = (self._folder / trait).read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        return float(seconds) if words in question else None


def _hang_on(seconds: float) -> None:
    """Go on whatever anybody asks for, short of a kill; who is stopped meanwhile does the rest when it wakes."""
    for _ in range(round(seconds / _HOLDS_ON_S)):
        with suppress(TimeLimitReached):
            time.sleep(_HOLDS_ON_S)


def _hoard() -> None:
    """Ask for memory until there is none; never where nobody has set a limit."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        raise RuntimeError("nobody has limited the memory of this process")
    hoard = []
    while True:
        hoard.append(bytearray(_PIECE_BYTES))


def _compute(seconds: float) -> None:
    """Use the processor for so long, however long that takes."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        sum(range(1000))


def failpoints() -> Failpoints:
    """Those of the process's environment."""
    return Failpoints(Path(os.environ[FOLDER_VARIABLE]))
