"""A process that starts makes little but what it keeps: modules, schemas, the catalog. Imported by the roots, first.

To look through all of it for garbage, again and again while it grows, would take a third of the start.
"""

import gc

_USUAL = gc.get_threshold()
# Objects made, and still there, before anybody looks.
_SELDOM = 100_000

gc.set_threshold(_SELDOM, *_USUAL[1:])


def started() -> None:
    """What is there by now stays there, and nobody looks through it; from now on garbage is looked for as usual."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
