"""A process that starts makes little but what it keeps: modules, schemas, the catalog. Imported by the roots, first.

To look through all of it for garbage, again and again while it grows, would take a third of the start. First of all,
libraries too: a root imports it above them, and keeps it there by `isort: split`.
"""

import gc
import sys
from importlib import import_module

_USUAL = gc.get_threshold()
# Objects made, and still there, before anybody looks: more than a process makes until it has started.
_SELDOM = 1_000_000

# Who loads whom wherever it is installed, for what nobody here asks of them: a tenth of what a process loads.
_NOT_ASKED_FOR = {"structlog": "rich", "redis": "opentelemetry"}

gc.set_threshold(_SELDOM, *_USUAL[1:])


def _load_without(other: str, *, library: str) -> None:
    """Load a library as where the other one, which it can do without, is not installed."""
    if other in sys.modules:
        return
    sys.modules[other] = None  # type: ignore[assignment]
    try:
        import_module(library)
    finally:
        del sys.modules[other]


for _library, _other in _NOT_ASKED_FOR.items():
    _load_without(_other, library=_library)


def started() -> None:
    """What is there by now stays there, and nobody looks through it; from now on garbage is looked for as usual."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
