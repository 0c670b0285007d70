"""Whose run a worker takes: a message says that there is work, and the tenants have their turns.

Messages lie in the broker in the order in which they came. Were each one for its own run, whoever asks for a thousand
things would be served before everybody who asks a moment later. So a message is a bell: whoever hears it serves the
tenant whose last turn was longest ago, with the run rung for where that is its own, else with its oldest. At least as
many bells are rung as runs wait.
"""

from functools import partial

from sqlalchemy.orm import Session

from service.planning.answer import answer
from service.planning.execute import Solve, execute
from service.runtime import Runtime
from service.store import waiting

# Others may take what was seen to wait; whoever finds nothing so often has met as many workers that took it.
_LOOKS = 5


def execute_next(runtime: Runtime, rung_for: str, *, solve: Solve = answer) -> bool:
    """Bring the run that is next to its end; False when none waits, or somebody else brought it there."""
    return execute(runtime, rung_for, solve=solve, choose=partial(_next, runtime))


def _next(runtime: Runtime, session: Session, rung_for: str) -> str:
    """The run to take. The bell of one whose worker died is for that one alone: nobody else can be woken by it."""
    if waiting.has_lapsed(session, rung_for, now=runtime.clock(), max_attempts=runtime.settings.max_attempts):
        return rung_for
    for look in range(_LOOKS):
        for tenant_id in runtime.turns.order(waiting.tenants(session)):
            # First whatever is free, then what somebody holds, perhaps only to note that it was rung for.
            chosen = waiting.take(session, tenant_id, rung_for, patient=look > 0)
            if chosen is not None:
                runtime.turns.served(tenant_id)
                return chosen
    return rung_for
