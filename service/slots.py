"""Slots: small numbers, each held by one living process of a host; the number of a process that ends is free again."""

import fcntl
import itertools
import os
from pathlib import Path


class Slots:
    """The numbers of a folder. Containers that share the folder share the numbers, though not their process ids."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = False
        self._number = -1
        self._handle = -1
        # Asked for every count, so no system call tells a child from its parent.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._mine = False

    def mine(self) -> int:
        """The number of this process; a forked child takes one of its own. Raises OSError without a usable folder."""
        if not self._mine:
            self._take()
        return self._number

    def _take(self) -> None:
        inherited, self._handle = self._handle, -1
        if inherited >= 0:
            os.close(inherited)
        for number in itertools.count():
            handle = os.open(self._folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # The operating system lets go of it however the process ends.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            self._mine, self._number, self._handle = True, number, handle
            return
