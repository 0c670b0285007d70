"""Exceptions in logs: types and places; no local variables, and no words where a customer's text may stand."""

from pathlib import Path
from typing import Any

import structlog
from structlog.typing import ExcInfo

from service.logs.fields import cut

_FRAMES = 16
_ERRORS = 4
_OF_A_FRAME = ("filename", "lineno", "name")
_OURS = f"{Path(__file__).parents[2]}/"
_LIBRARIES = "site-packages/"
_FOLDERS_KEPT = 4

_DICTIONARIES = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=_FRAMES)


def structured(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """The error and what caused it, newest first."""
    words = _words(exc_info[1])
    errors = []
    for error in _DICTIONARIES(exc_info)[:_ERRORS]:
        told = {"exc_type": error["exc_type"], "is_cause": error["is_cause"]}
        if said := words.get(error["exc_type"]):
            told["exc_value"] = said
        told["frames"] = [_place(frame) for frame in error["frames"]]
        errors.append(told)
    return errors


def _words(error: BaseException | None) -> dict[str, str]:
    """What errors say, by type: of the operating system, about modules, and ours that promise to quote nobody."""
    words = {}
    for _ in range(_ERRORS):
        if error is None:
            break
        if isinstance(error, OSError):
            words[type(error).__name__] = cut(error.strerror or "")
        elif isinstance(error, ImportError) or getattr(error, "quotes_nobody", False):
            words[type(error).__name__] = cut(str(error))
        error = error.__cause__ or error.__context__
    return words


def _place(frame: dict[str, Any]) -> dict[str, Any]:
    place = {name: frame[name] for name in _OF_A_FRAME}
    _, _, in_library = frame["filename"].removeprefix(_OURS).rpartition(_LIBRARIES)
    place["filename"] = "/".join(in_library.split("/")[-_FOLDERS_KEPT:])
    return place


RENDERER = structlog.processors.ExceptionRenderer(structured)
