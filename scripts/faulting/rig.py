"""The rig: the product as several web and worker processes and two dispatchers, on real servers behind proxies."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from config.environment import ROOT, settings_from_environment
from scripts.children import free_port
from scripts.faulting.failpoints import FOLDER_VARIABLE, Failpoints
from scripts.faulting.member import Member, is_ready, kill
from scripts.faulting.servers import Database, Redis, make_servers
from scripts.processes import DISPATCHER, MIGRATE, ONE_THREAD, Process, served, worker
from scripts.trouble import Trouble
from service.settings import THREADS_PER_PLACE, Settings

# Whatever is lost must be found within seconds, and an honest sizing must not look lost on a busy machine.
CLOCKS = {
    "HEADROOM_TASK_SOFT_LIMIT_S": "1",
    "HEADROOM_TASK_HARD_LIMIT_S": "2",
    "HEADROOM_LEASE_S": "3",
    "HEADROOM_VISIBILITY_TIMEOUT_S": "4",
    "HEADROOM_SWEEP_INTERVAL_S": "1",
    "HEADROOM_OUTBOX_POLL_S": "0.5",
    "HEADROOM_RESEND_AFTER_S": "2",
    "HEADROOM_DISPATCHER_LEASE_S": "3",
    "HEADROOM_BREAKER_OPEN_S": "1",
    "HEADROOM_WORKER_DEAF_AFTER_S": "30",
    "HEADROOM_SILENT_AFTER_S": "5",
    "HEADROOM_WORKER_CONCURRENCY": "1",
    "HEADROOM_WEB_WORKERS": "1",
    # Webhooks of the cases lead to an address of this host where nobody listens; all others inside are refused.
    "HEADROOM_WEBHOOK_NETWORKS": "127.77.0.0/16",
    "HEADROOM_BODY_TIMEOUT_S": "3",
    "HEADROOM_KEPT_BYTES": "8000000",
    "HEADROOM_LOG_LEVEL": "INFO",
}
_UP_WITHIN_S = 90.0


@dataclass(slots=True)
class Rig:
    """Everything that a case may break."""

    folder: Path
    tree: Path
    database: Database
    broker: Redis
    cache: Redis
    environ: Mapping[str, str]
    failpoints: Failpoints
    webs: list[Member] = field(default_factory=list)
    workers: list[Member] = field(default_factory=list)
    dispatchers: list[Member] = field(default_factory=list)
    # What a case has for itself.
    others: list[Member] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        """Every process of the product."""
        return [*self.webs, *self.workers, *self.dispatchers, *self.others]

    @property
    def direct(self) -> Settings:
        """Settings of somebody on the same servers who does not go through the proxies: the driver."""
        return settings_from_environment(
            {
                **self.environ,
                "DATABASE_URL": self.database.url,
                "BROKER_URL": self.broker.url,
                "CACHE_URL": self.cache.url,
            }
        )

    def add(self, process: Process, *, port: int | None = None, **environ: str) -> Member:
        """Another process of the product, not started."""
        values = {**self.environ, **environ}
        return Member(process, values, self.tree, self.folder / f"{process.name}.log", port=port)

    @contextmanager
    def changed(self, members: Sequence[Member], changes: Mapping[str, str]) -> Iterator[None]:
        """In the block these run with other settings; they are restarted for it, and afterwards."""
        before = [member.environ for member in members]
        self._restart(members, [{**environ, **changes} for environ in before])
        try:
            yield
        finally:
            self._restart(members, before)

    def _restart(self, members: Sequence[Member], environs: Sequence[Mapping[str, str]]) -> None:
        for member, environ in zip(members, environs, strict=True):
            member.environ = environ
            member.terminate()
            member.start()
        self.wait_until_ready()

    @contextmanager
    def beside(self, process: Process, changes: Mapping[str, str], *, tree: Path | None = None) -> Iterator[Member]:
        """Another process of the product, of another tree where one is named, while the block lasts."""
        member = self.add(process)
        member.environ = {**member.environ, **changes}
        if tree is not None:
            member.tree, member.environ = tree, {**member.environ, **of_tree(tree)}
        self.others.append(member)
        member.start()
        try:
            yield member
        finally:
            self.others.remove(member)
            member.terminate()

    @property
    def scratch(self) -> Path:
        """Where its processes write temporary files."""
        return Path(self.environ["TMPDIR"])

    def start_product(self) -> None:
        """Start every process of the product and wait until all of it works."""
        for member in self.members:
            member.start()
        self.wait_until_ready()

    def kill_everything(self) -> None:
        """As a loss of power: every process of the product and of its servers, at once."""
        for member in self.members:
            for pid in member.family:
                kill(pid)
        for server in (self.database, self.broker, self.cache):
            server.kill()
        for member in self.members:
            member.kill()

    def migrate(self, *options: str, tree: Path | None = None) -> None:
        """Bring the database to the schema of the rig's tree or another one, or by the options elsewhere."""
        of = tree or self.tree
        command, environ = (*MIGRATE.command, *options), {**self.environ, **of_tree(of)}
        done = subprocess.run(command, cwd=of, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"The rig's database could not be migrated: {done.stderr[-500:]}")

    def wait_until_ready(self) -> None:
        """Return once every web process says that all parts work; one that ends meanwhile is started again."""
        for web in self.webs:
            self.wait_for(partial(_kept_up, web, is_ready), what=f"{web.process.name} is ready")

    def wait_until_whole(self) -> None:
        """Return once every process has started up, and every worker has the child that it works with."""
        for member in self.members:
            self.wait_for(partial(_kept_up, member, Member.works), what=f"{member.process.name} works")
        for member in self.workers:
            # It may be between two: one that has ended, or was killed, and the next.
            self.wait_for(partial(_kept_up, member, Member.has_child), what=f"{member.process.name} has a child")

    def wait_for(self, happened: Callable[[], object], *, what: str, within_s: float = _UP_WITHIN_S) -> float:
        """Return once it has happened, with the seconds that it took; Trouble where it does not."""
        since_s = time.monotonic()
        while not happened():
            if time.monotonic() - since_s > within_s:
                raise Trouble(f"The rig waited {within_s:g} s in vain: {what}. Its logs: {self.folder}")
            time.sleep(0.05)
        return time.monotonic() - since_s

    def mend(self) -> None:
        """Lift every fault: proxies pass, servers run, processes run."""
        for server in (self.database, self.broker, self.cache):
            server.proxy.clear()
        self.failpoints.disarm()
        if _ended(self.database.server.process):
            self.database.server.start()
        for redis in (self.broker, self.cache):
            if _ended(redis.process):
                redis.start()
        for member in self.members:
            if _ended(member.running):
                member.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """End everything, without ceremony: what it holds is thrown away."""
        for member in self.members:
            member.kill()
        self.database.server.stop()
        self.broker.kill()
        self.cache.kill()
        for server in (self.database, self.broker, self.cache):
            server.proxy.stop()


def _ended(process: subprocess.Popen[bytes] | None) -> bool:
    return process is None or process.poll() is not None


def _kept_up(member: Member, happened: Callable[[Member], bool]) -> bool:
    """Whether it has happened to it; one that has ended is started again first, as a supervisor does."""
    if _ended(member.running):
        member.start()
        return False
    return happened(member)


def of_tree(tree: Path) -> dict[str, str]:
    """What leads a process to the code and the facts of a tree."""
    return {"PYTHONPATH": str(tree), "HEADROOM_CONFIG_DIR": str(tree / "config")}


def _environ(folder: Path, tree: Path, database: Database, broker: Redis, cache: Redis) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADROOM_", "OTEL_"))}
    return {
        **kept,
        **ONE_THREAD,
        **CLOCKS,
        **of_tree(tree),
        "DATABASE_URL": database.proxied_url,
        "BROKER_URL": broker.proxied_url,
        "CACHE_URL": cache.proxied_url,
        "HEADROOM_DATA_DIR": str(folder / "data"),
        "TMPDIR": str(folder / "scratch"),
        FOLDER_VARIABLE: str(folder / "failpoints"),
    }


def _web(rig: Rig, name: str) -> Member:
    port = free_port()
    settings = settings_from_environment({**rig.environ, "HEADROOM_PORT": str(port)})
    threads = settings.web_threads * THREADS_PER_PLACE
    process = served(settings, name=name, factory="scripts.faulting.failing_web:create_app", threads=threads)
    return rig.add(process, port=port, HEADROOM_PORT=str(port))


def build_rig(folder: Path, tree: Path, changes: Mapping[str, str]) -> Rig:
    """A rig with nothing of the product running: its servers are, and the database is migrated."""
    for name in ("failpoints", "data", "scratch"):
        (folder / name).mkdir()
    database, broker, cache = make_servers(folder)
    environ = {**_environ(folder, tree, database, broker, cache), **changes}
    points = Failpoints(folder / "failpoints")
    rig = Rig(folder, tree, database, broker, cache, environ, points)
    try:
        database.create()
        broker.start()
        cache.start()
        rig.migrate()
    except BaseException:
        rig.stop()
        raise
    rig.webs = [_web(rig, name) for name in ("web-1", "web-2")]
    settings = settings_from_environment(rig.environ)
    app = "scripts.faulting.failing_worker"
    rig.workers = [rig.add(worker(settings, name=name, app=app)) for name in ("worker-1", "worker-2")]
    names = ("dispatcher-1", "dispatcher-2")
    rig.dispatchers = [rig.add(Process(name=name, arguments=DISPATCHER.arguments)) for name in names]
    return rig


@contextmanager
def running_rig(*, tree: Path = ROOT, keep: bool = False, changes: Mapping[str, str] | None = None) -> Iterator[Rig]:
    """A rig that works, of the code in a tree; its folder goes with it unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="headroom-faults-"))
    # PostgreSQL may be another user, who has a folder in it.
    folder.chmod(0o755)
    try:
        rig = build_rig(folder, tree, changes or {})
        try:
            rig.start_product()
            yield rig
        finally:
            rig.stop()
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
