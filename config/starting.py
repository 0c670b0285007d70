"""A process that starts makes little but what it keeps: modules, schemas, the catalog. Imported by the roots, first.

To look through all of it for garbage, again and again while it grows, would take a third of the start. First of all,
libraries too: a root imports it above them, and keeps it there by `isort: split`.
"""

import gc

_USUAL = gc.get_threshold()
# Objects made, and still there, before anybody looks: more than a process makes until it has started.
_SELDOM = 1_000_000

gc.set_threshold(_SELDOM, *_USUAL[1:])


def started() -> None:
    """What is there by now stays there, and nobody looks through it; from now on garbage is looked for as usual."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
