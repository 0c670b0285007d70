"""What a forked process has of its parent, and lets go."""

import os
import stat
from contextlib import suppress
from pathlib import Path

# Standard input, output and errors may be sockets, of whoever keeps the logs.
_STANDARD = 3


def let_go_of_sockets() -> None:
    """Every socket of the parent leads nowhere in this process; to be called before it opens one of its own.

    Linux tells whoever polls of a socket for as long as any process has it open. Where a child that was forked beside a
    connection to the broker has it too, the parent's Celery hears of it without end once that connection is lost and
    closed: it can no longer say which one it means, and uses a whole core until the child ends.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for path in Path("/dev/fd").iterdir():
        number = int(path.name)
        # The folder that was read is closed by now.
        with suppress(OSError):
            if number >= _STANDARD and stat.S_ISSOCK(os.fstat(number).st_mode):
                # Numbers stay taken: objects that Python copied from the parent close theirs when they are forgotten.
                os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)
