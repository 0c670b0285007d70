"""The processes of the product and the commands that start them: one definition for scripts/run and docker-compose."""

import sys
from dataclasses import dataclass

from service.queue import SIZING_QUEUES, QueueName
from service.settings import THREADS_PER_PLACE, Settings

# NumPy's threads would fight with the processes for the cores.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One long-running process: its name and what Python is told to run."""

    name: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command, with the Python that runs this."""
        return (sys.executable, *self.arguments)


MIGRATE = Process(name="migrate", arguments=("-m", "service.store.migrate"))
DISPATCHER = Process(name="dispatcher", arguments=("-m", "workers.dispatcher"))


def web(settings: Settings) -> Process:
    """The API. Most of its threads only wait for bodies."""
    threads = settings.web_threads * THREADS_PER_PLACE
    return served(settings, name="web", factory="service.app:create_app", threads=threads)


def served(settings: Settings, *, name: str, factory: str, threads: int) -> Process:
    """A WSGI application in as many processes as the API.

    Blocking threads are always given: the server's own default grows with the machine.
    """
    return Process(
        name=name,
        arguments=(
            *("-m", "granian", "--interface", "wsgi", "--factory", factory),
            *("--host", settings.web_host, "--port", str(settings.web_port)),
            *("--workers", str(settings.web_workers), "--blocking-threads", str(threads)),
            # A request that waits for its run may finish; a process that hangs may not.
            *("--workers-kill-timeout", str(settings.wait_max_s + 5), "--respawn-failed-workers", "--no-ws"),
            *("--log-config", "config/granian_logs.json"),
        ),
    )


def worker(
    settings: Settings, *, name: str = "worker", app: str = "workers.app", queues: tuple[str, ...] = SIZING_QUEUES
) -> Process:
    """A worker that sizes, or another one with its settings; more of them share the work."""
    return Process(
        name=name,
        arguments=(
            *("-m", "celery", "--app", app, "worker"),
            *("--queues", ",".join(queues)),
            *("--concurrency", str(settings.worker_concurrency), "--loglevel", settings.log_level),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
    )


def deliverer(settings: Settings, *, app: str = "workers.app") -> Process:
    """The worker that delivers to webhooks: it only waits for others, so it has threads and needs no processes."""
    return Process(
        name="deliverer",
        arguments=(
            *("-m", "celery", "--app", app, "worker", "--pool", "threads"),
            *("--queues", QueueName.WEBHOOKS.value),
            *("--concurrency", str(settings.webhook_concurrency), "--loglevel", settings.log_level),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
    )


def product(settings: Settings) -> tuple[Process, ...]:
    """Everything that runs for ever once the database is migrated."""
    return (web(settings), worker(settings), deliverer(settings), DISPATCHER)
