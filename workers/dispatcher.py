"""The dispatcher: one process finds what is unsent, lost or due and rings for it; a second one stands by."""

from config.starting import started  # isort: split

import signal
import sys
import threading
import time
from dataclasses import dataclass, field

import structlog

from config.environment import SettingsError, settings_from_environment
from service.errors import PlannerError, UnavailableError
from service.logs.process import own_logs
from service.metrics import shared_metrics
from service.planning import leadership
from service.planning.batch.feed import feed
from service.planning.delivery.feed import feed_deliveries
from service.planning.heartbeat import DISPATCHER, beat, process_name, silence
from service.planning.schedule.due import begin_due, ring
from service.planning.sweep import prune, relay, sweep
from service.planning.versions import record_release
from service.queue import TaskName
from service.runtime import Runtime, build_runtime
from service.settings import BEAT_EVERY_S
from service.store.checkpoints import Checkpoints
from service.tracing import make_tracing

log = structlog.get_logger(__name__)

_PRUNE_EVERY_S = 600.0
_LONGEST_PAUSE_S = 10.0


@dataclass(slots=True, kw_only=True)
class Rhythm:
    """When each thing is due next, on the monotonic clock: after an outage it is due once, not many times."""

    beat_at: float = 0.0
    sweep_at: float = 0.0
    prune_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """A loop around `turn`; it holds nothing that its successor would miss."""

    runtime: Runtime
    stop: threading.Event = field(default_factory=threading.Event)
    name: str = field(default_factory=lambda: process_name(DISPATCHER))
    rhythm: Rhythm = field(default_factory=Rhythm)
    leads: bool = False

    def run(self) -> None:
        """Turn after turn until stopped; an outage slows it down and never ends it."""
        pause_s = poll_s = self.runtime.settings.outbox_poll_s
        while not self.stop.is_set():
            try:
                self.turn(time.monotonic())
                pause_s = poll_s
            except UnavailableError as error:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self.runtime.metrics.swept("unavailable")
                log.warning("dispatcher_waits", reason=error.message, pause_s=pause_s)
            except Exception:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self.runtime.metrics.swept("error")
                log.exception("dispatcher_error", pause_s=pause_s)
            self.stop.wait(pause_s)
        self._leave()

    def turn(self, now_s: float) -> bool:
        """One look at everything that is due; False while another dispatcher leads."""
        settings = self.runtime.settings
        if now_s >= self.rhythm.beat_at:
            self.rhythm.beat_at = now_s + BEAT_EVERY_S
            beat(self.runtime, self.name, role=DISPATCHER)
        leads = leadership.hold(self.runtime, self.name)
        if leads and not self.leads:
            log.info("dispatcher_leads")
            record_release(self.runtime)
        self.leads = leads
        if not leads:
            return False
        if now_s >= self.rhythm.sweep_at:
            self.rhythm.sweep_at = now_s + settings.sweep_interval_s
            sweep(self.runtime)
        else:
            relay(self.runtime)
        begin_due(self.runtime)
        ring(self.runtime)
        feed(self.runtime)
        feed_deliveries(self.runtime)
        if now_s >= self.rhythm.prune_at:
            self.rhythm.prune_at = now_s + _PRUNE_EVERY_S
            prune(self.runtime)
            self.runtime.queue.enqueue(TaskName.PRUNE)
        return True

    def _leave(self) -> None:
        try:
            leadership.release(self.runtime, self.name)
            silence(self.runtime, self.name)
        except UnavailableError:
            log.warning("dispatcher_left_without_a_word")
        self.runtime.tracing.stop()
        log.info("dispatcher_stopped")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    own_logs("INFO", role=DISPATCHER)
    try:
        settings = settings_from_environment()
        own_logs(settings.log_level, role=DISPATCHER)
        tracing = make_tracing(settings, role=DISPATCHER)
        metrics = shared_metrics(settings.metrics_dir)
        dispatcher = Dispatcher(runtime=build_runtime(settings, metrics=metrics, tracing=tracing))
    except (SettingsError, PlannerError) as error:
        log.critical("cannot_start", reason=str(error))
        sys.exit(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop.set())
    checkpoints = Checkpoints(settings.database_url)
    checkpoints.begin()
    started()
    log.info("dispatcher_started")
    dispatcher.run()
    checkpoints.end()


if __name__ == "__main__":
    main()
