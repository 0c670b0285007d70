"""Progress of a batch on standard error: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from service.client.batch import Batch
from service.client.counted import counted
from service.client.problem import HeadroomError

_LINE_EVERY_S = 10.0


class BatchWatch:
    """Tells how far a batch is. Standard output belongs to the results, so this keeps off it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("waiting for the server", total=None, pace="")
        self._told_s, self._last = 0.0, ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, batch: Batch) -> None:
        """Tell where the batch is."""
        if self._console.is_terminal:
            self._bar.update(
                self._task, description=batch.id, total=batch.items, completed=batch.ended_items, pace=pace(batch)
            )
            return
        now_s = time.monotonic()
        if not batch.open or not self._told_s or now_s - self._told_s >= _LINE_EVERY_S:
            self._told_s = now_s
            self._say(f"batch {batch.id}: {batch.ended_items:,} of {counted(batch.items, 'item')}{_after(pace(batch))}")

    def pause(self, error: HeadroomError, pause_s: float) -> None:
        """Tell why a request is tried again, and when."""
        beside = f" Next in {pause_s:g} s." if self._console.is_terminal else ""
        self._say(f"{error.sentences()[0]} Trying again for a while.{beside}")

    def _say(self, text: str) -> None:
        if text != self._last:
            self._console.print(text, markup=False)
        self._last = text


def _after(words: str) -> str:
    return f", {words}" if words else ""


def pace(batch: Batch) -> str:
    """Rate and time left, as far as they are known."""
    if batch.rate_items_s is None:
        return ""
    rate = f"{batch.rate_items_s:,.3g}/s"
    return rate if batch.left_s is None else f"{rate}, {duration(batch.left_s)} left"


def duration(seconds: float) -> str:
    """Seconds, or minutes and hours."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min {whole % 60} s" if whole < 3600 else f"{hours} h {minutes % 60} min"
