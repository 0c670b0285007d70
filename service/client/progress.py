"""Progress on standard error while a call waits: a moving line on a terminal, one line per change elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.client.problem import HeadroomError
from service.client.run import Run


class Watch:
    """Tells how far a run is. Standard output belongs to the answer, so this keeps off it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._line = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._line.add_task("waiting for the server", total=None)
        self._last = ""

    def __enter__(self) -> Self:
        self._line.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._line.stop()

    def __call__(self, run: Run) -> None:
        """Tell where the run is."""
        share = f", {run.progress_fraction:.0%}" if run.progress_fraction else ""
        self._tell(f"run {run.id}: {run.status}{share}")

    def pause(self, error: HeadroomError, pause_s: float) -> None:
        """Tell why a request is tried again, and when."""
        self._tell(f"{error.sentences()[0]} Trying again for a while.", beside=f"next in {pause_s:g} s")

    def _tell(self, text: str, *, beside: str = "") -> None:
        if self._console.is_terminal:
            self._line.update(self._task, description=escape(f"{text} {beside}".rstrip()))
        elif text != self._last:
            self._console.print(text, markup=False)
        self._last = text
