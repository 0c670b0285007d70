"""Cases: numbered as the protocol numbers them, each a function that breaks something in a scene."""

from collections.abc import Callable
from dataclasses import dataclass

from scripts.faulting.scene import Scene

Break = Callable[[Scene], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. `quick` ones run with the project's own tests; `alone` ones need a rig with other settings."""

    number: int
    title: str
    run: Break
    quick: bool = False


CASES: dict[int, Case] = {}


def case(number: int, title: str, *, quick: bool = False) -> Callable[[Break], Break]:
    """Decorator: the function is the case of this number."""

    def register(run: Break) -> Break:
        assert number not in CASES, number
        CASES[number] = Case(number=number, title=title, run=run, quick=quick)
        return run

    return register
