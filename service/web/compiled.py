"""Compiled templates, kept as Python keeps its own modules: in `__pycache__` beside them, where one may write there."""

import functools
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket


class Compiled(FileSystemBytecodeCache):
    """What was compiled from the same source by the same Jinja, while the `code` was the same.

    Jinja applies filters to constants as it compiles, so that what comes out hangs on the code of filters too.
    """

    def __init__(self, templates: Path, *, code: Path) -> None:
        super().__init__(str(templates / "__pycache__"), pattern=f"%s-{version('jinja2')}.jinja")
        self._code = _standing(code)

    def get_source_checksum(self, source: str) -> str:
        """Of the source and the code."""
        return super().get_source_checksum(self._code + source)

    def load_bytecode(self, bucket: Bucket) -> None:
        """What cannot be read is compiled again."""
        try:
            super().load_bytecode(bucket)
        except Exception:  # noqa: BLE001 - whatever a damaged file makes of unpickling
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Replaced when all of it is there. Who may not write goes without."""
        if sys.dont_write_bytecode:
            return
        try:
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)
        except OSError:
            return


@functools.cache
def _standing(code: Path) -> str:
    """The code as Python tells changed modules: by time and size of every file."""
    digest = hashlib.sha256()
    for path in sorted(code.rglob("*.py")):
        found = path.stat()
        digest.update(f"{path} {found.st_mtime_ns} {found.st_size}\n".encode())
    return digest.hexdigest()
