"""Who leads: one dispatcher holds a lease in the database, the others stand by."""

from service.planning.transact import transact
from service.runtime import Runtime
from service.store import processes

_LEASE = "dispatcher"


def hold(runtime: Runtime, process: str) -> bool:
    """Take or renew the lease; False while another process holds it."""
    now, for_s = runtime.clock(), runtime.settings.dispatcher_lease_s
    return transact(runtime, lambda session: processes.hold(session, _LEASE, process, now=now, for_s=for_s))


def release(runtime: Runtime, process: str) -> None:
    """Give the lease up, so that the standby takes over at once."""
    now = runtime.clock()
    transact(runtime, lambda session: processes.release(session, _LEASE, process, now=now))
