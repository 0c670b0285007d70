"""How a command ends: exit codes that a script can rely on, and one sentence about each."""

from enum import IntEnum

from service.client.address import AddressError
from service.client.files import FileError
from service.client.problem import ChangedSinceError, HeadroomError, ProblemError
from service.client.run import Run, RunStatus


class Ending(IntEnum):
    """The exit code of a command."""

    DONE = 0
    FAULT = 1
    REFUSED = 2
    NOTHING_FITS = 3
    FAILED = 4
    UNAVAILABLE = 5
    INTERRUPTED = 130
    UNREAD = 141


MEANINGS = {
    Ending.DONE: "done",
    Ending.FAULT: "a fault of this program",
    Ending.REFUSED: "wrong usage, or refused by the server, told field by field",
    Ending.NOTHING_FITS: "answered: nothing fits",
    Ending.FAILED: "the run failed or was cancelled; of a batch, some item was refused (in a dry run: would be), "
    "failed or cancelled",
    Ending.UNAVAILABLE: "the server is unreachable, not ready or too busy, or gave no answer in time",
    Ending.INTERRUPTED: "interrupted; a run or batch that was posted goes on",
    Ending.UNREAD: "whoever read the output has left, as head does",
}

EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
"""For the help of every command; the backspace is click's mark for lines that stay as they are."""


def ending_of_run(run: Run) -> Ending:
    """A run that is still open is no failure: asking for it was answered."""
    if run.status in {RunStatus.FAILED, RunStatus.CANCELLED}:
        return Ending.FAILED
    return Ending.NOTHING_FITS if run.feasible is False else Ending.DONE


def ending_of_failure(error: HeadroomError) -> Ending:
    """Whose turn it is: the caller's, or the server's."""
    if isinstance(error, AddressError | FileError | ChangedSinceError):
        return Ending.REFUSED
    if isinstance(error, ProblemError) and error.refused:
        return Ending.REFUSED
    return Ending.UNAVAILABLE
