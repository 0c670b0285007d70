"""Environment variables -> service.settings.Settings; imported by the roots and by scripts only."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.addresses import parse_networks
from service.settings import BEAT_EVERY_S, Cores, Settings

ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A variable of the environment is missing or wrong; the message names it and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable: the setting that it fills, what it may be, what it means."""

    name: str
    setting: str
    parse: Callable[[str], object]
    expects: str
    meaning: str


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _whole_number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise ValueError(text)
    return value


def _folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _level(text: str) -> str:
    value = text.upper()
    if value not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError(text)
    return value


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.partition(":")[0] not in schemes or "://" not in text:
            raise ValueError(text)
        return text

    return parse


def _headers(text: str) -> str:
    if not all(name.strip() and value for name, _, value in (part.partition("=") for part in text.split(","))):
        raise ValueError(text)
    return text


def _networks(text: str) -> str:
    parse_networks(text)
    return text


_REDIS = _url("redis", "rediss")
# Hosting platforms hand out these spellings; the driver that is installed is psycopg 3.
_POSTGRESQL_SPELLINGS = ("postgres://", "postgresql://")


def _database_url(text: str) -> str:
    for spelling in _POSTGRESQL_SPELLINGS:
        if text.startswith(spelling):
            return "postgresql+psycopg://" + text.removeprefix(spelling)
    return _url("sqlite", "postgresql+psycopg")(text)


def _count(name: str, setting: str, meaning: str) -> Variable:
    return Variable(name=name, setting=setting, parse=_positive_int, expects="a whole number above 0", meaning=meaning)


def _seconds(name: str, setting: str, meaning: str) -> Variable:
    return Variable(
        name=name, setting=setting, parse=_positive_float, expects="a number of seconds above 0", meaning=meaning
    )


def _whole_seconds(name: str, setting: str, meaning: str) -> Variable:
    return Variable(
        name=name, setting=setting, parse=_positive_int, expects="a whole number of seconds above 0", meaning=meaning
    )


def _days(name: str, setting: str, meaning: str) -> Variable:
    expects = "a whole number of days, 0 for ever"
    return Variable(name=name, setting=setting, parse=_whole_number, expects=expects, meaning=meaning)


VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="DATABASE_URL",
        setting="database_url",
        parse=_database_url,
        expects="postgresql://user:password@host/name or sqlite:///file",
        meaning="the truth: tenants, workloads, runs",
    ),
    Variable(
        name="BROKER_URL",
        setting="broker_url",
        parse=_REDIS,
        expects="redis://host:port/0",
        meaning="Redis that carries messages: append-only file on, noeviction",
    ),
    Variable(
        name="CACHE_URL",
        setting="cache_url",
        parse=_REDIS,
        expects="redis://host:port/0",
        meaning="another Redis that remembers answers: allkeys-lru, no persistence needed",
    ),
    Variable(
        name="HEADROOM_CONFIG_DIR",
        setting="config_dir",
        parse=_folder,
        expects="a folder",
        meaning="facts: hardware, models, prices, assumptions",
    ),
    Variable(
        name="HEADROOM_DATA_DIR",
        setting="data_dir",
        parse=_folder,
        expects="a folder",
        meaning="what this installation keeps beside its database",
    ),
    Variable(
        name="HEADROOM_METRICS_DIR",
        setting="metrics_dir",
        parse=_folder,
        expects="a folder",
        meaning="where the processes of a host count together for `/metrics`",
    ),
    Variable(
        name="HEADROOM_LOG_LEVEL",
        setting="log_level",
        parse=_level,
        expects="DEBUG, INFO, WARNING, ERROR or CRITICAL",
        meaning="how much the processes say",
    ),
    Variable(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        setting="otlp_endpoint",
        parse=_url("http", "https"),
        expects="http://host:4318",
        meaning="collector of OpenTelemetry (OTLP over HTTP) that gets traces",
    ),
    Variable(
        name="OTEL_EXPORTER_OTLP_HEADERS",
        setting="otlp_headers",
        parse=_headers,
        expects="name=value,name=value",
        meaning="headers that the collector asks for",
    ),
    Variable(
        name="HEADROOM_HOST", setting="web_host", parse=str, expects="an address", meaning="where the web listens"
    ),
    Variable(
        name="HEADROOM_PORT", setting="web_port", parse=_port, expects="a port, 1 to 65535", meaning="and on which port"
    ),
    _count("HEADROOM_WEB_WORKERS", "web_workers", "web processes"),
    _count("HEADROOM_WEB_THREADS", "web_threads", "requests a web process works on at once; half may wait for a run"),
    Variable(
        name="HEADROOM_WEB_CORES",
        setting="web_cores",
        parse=Cores,
        expects="own or any",
        meaning="`own`: each web process keeps to one core, on a host that is this installation's alone",
    ),
    _count("HEADROOM_WORKER_CONCURRENCY", "worker_concurrency", "runs that one worker sizes at a time"),
    _whole_seconds("HEADROOM_WAIT_MAX_S", "wait_max_s", "longest `Prefer: wait`"),
    _count("HEADROOM_BODY_LIMIT_BYTES", "body_limit_bytes", "largest request body"),
    _seconds("HEADROOM_BODY_TIMEOUT_S", "body_timeout_s", "a body that has not arrived after this is refused (408)"),
    _count("HEADROOM_BATCH_LIMIT_BYTES", "batch_limit_bytes", "largest uploaded batch"),
    _seconds("HEADROOM_BATCH_TIMEOUT_S", "batch_timeout_s", "a batch that has not arrived after this is refused (408)"),
    _whole_seconds("HEADROOM_RATE_WINDOW_S", "rate_window_s", "the window in which calls are counted"),
    _count("HEADROOM_RATE_LIMIT_READS", "rate_limit_reads", "calls that read, per tenant and window"),
    _count("HEADROOM_RATE_LIMIT_WRITES", "rate_limit_writes", "calls that write or compute, per tenant and window"),
    _count("HEADROOM_RATE_LIMIT_UNKNOWN", "rate_limit_unknown", "calls without a valid key, per address and window"),
    _count("HEADROOM_OPEN_RUNS_MAX", "open_runs_max", "runs of a tenant that may be open at once"),
    _count(
        "HEADROOM_MAX_ATTEMPTS",
        "max_attempts",
        "attempts of a run before it is `failed`; those that were stopped without having computed do not count",
    ),
    _whole_seconds(
        "HEADROOM_TASK_SOFT_LIMIT_S",
        "task_soft_limit_s",
        "a run is asked to stop after this; its own fault if it has computed for half of it",
    ),
    _whole_seconds("HEADROOM_TASK_HARD_LIMIT_S", "task_hard_limit_s", "and killed after this"),
    _seconds("HEADROOM_LEASE_S", "lease_s", "a claimed run may be claimed again after this; above the hard limit"),
    _whole_seconds("HEADROOM_VISIBILITY_TIMEOUT_S", "visibility_timeout_s", "an unacknowledged message returns"),
    _seconds("HEADROOM_OUTBOX_POLL_S", "outbox_poll_s", "how often unsent messages are looked for"),
    _seconds("HEADROOM_SWEEP_INTERVAL_S", "sweep_interval_s", "how often lost runs are looked for"),
    _seconds("HEADROOM_RESEND_AFTER_S", "resend_after_s", "a queued run that nobody claimed is rung again"),
    _seconds("HEADROOM_DISPATCHER_LEASE_S", "dispatcher_lease_s", "a second dispatcher takes over after this"),
    _seconds(
        "HEADROOM_WORKER_DEAF_AFTER_S", "worker_deaf_after_s", "a worker that takes no waiting message ends itself"
    ),
    _seconds("HEADROOM_SILENT_AFTER_S", "silent_after_s", "`/readyz` misses a worker or dispatcher after this"),
    _seconds("HEADROOM_QUEUE_AGE_MAX_S", "queue_age_max_s", "`/readyz` is not ready when a run waits for longer"),
    _whole_seconds("HEADROOM_CACHE_TTL_S", "cache_ttl_s", "how long an answer stays in the cache"),
    _seconds("HEADROOM_KEY_MEMORY_S", "key_memory_s", "a key that was just checked is trusted for this long"),
    Variable(
        name="HEADROOM_WEBHOOK_NETWORKS",
        setting="webhook_networks",
        parse=_networks,
        expects="networks such as 10.1.0.0/16,fd00:1::/32",
        meaning="networks that are not public and that webhooks may call all the same, on any port",
    ),
    _seconds("HEADROOM_WEBHOOK_RETRY_FIRST_S", "webhook_retry_first_s", "pause after a failed delivery, then doubled"),
    _seconds("HEADROOM_WEBHOOK_RETRY_WINDOW_S", "webhook_retry_window_s", "after this a delivery is given up"),
    _count("HEADROOM_WEBHOOK_CONCURRENCY", "webhook_concurrency", "deliveries that one process sends at a time"),
    _seconds("HEADROOM_WEBHOOK_MEMORY_S", "webhook_memory_s", "after this a new webhook is heard of everywhere"),
    _count("HEADROOM_KEPT_BYTES", "kept_bytes", "memory for finished runs in each web process"),
    _whole_seconds("HEADROOM_IDEMPOTENCY_TTL_S", "idempotency_ttl_s", "how long an `Idempotency-Key` is kept"),
    _days("HEADROOM_KEEP_RUNS_DAYS", "keep_runs_days", "so many days runs are kept that nothing needs; 0: for ever"),
    _days("HEADROOM_KEEP_BATCHES_DAYS", "keep_batches_days", "ended batches with their items"),
    _days("HEADROOM_KEEP_OCCURRENCES_DAYS", "keep_occurrences_days", "occurrences of schedules with their items"),
    _days("HEADROOM_KEEP_DRAFT_DOCUMENTS_DAYS", "keep_draft_documents_days", "documents of quotes that are not issued"),
    _days("HEADROOM_KEEP_DELIVERIES_DAYS", "keep_deliveries_days", "events of webhooks with their deliveries"),
    _days("HEADROOM_KEEP_AUDIT_DAYS", "keep_audit_days", "audit events"),
    _seconds("HEADROOM_BROKER_CONNECT_TIMEOUT_S", "broker_connect_timeout_s", "longest wait for the broker"),
    _seconds("HEADROOM_BREAKER_OPEN_S", "breaker_open_s", "pause after a failure of broker or cache"),
)

_REQUIRED = ("DATABASE_URL", "BROKER_URL", "CACHE_URL")
_SECRET = (*_REQUIRED, "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS")


def _value(variable: Variable, text: str) -> object:
    try:
        return variable.parse(text.strip())
    except ValueError:
        # They carry passwords, so the message never repeats what was given there.
        given = "" if variable.name in _SECRET else f", not {text!r}"
        raise SettingsError(f"{variable.name} must be {variable.expects}{given}.") from None


def _check_clocks(settings: Settings) -> None:
    if not settings.task_soft_limit_s < settings.task_hard_limit_s < settings.lease_s:
        raise SettingsError(
            "HEADROOM_TASK_SOFT_LIMIT_S < HEADROOM_TASK_HARD_LIMIT_S < HEADROOM_LEASE_S must hold, not "
            f"{settings.task_soft_limit_s} < {settings.task_hard_limit_s} < {settings.lease_s:g}: "
            "a run that is still being sized must not be claimed again."
        )
    if settings.visibility_timeout_s <= settings.task_hard_limit_s:
        raise SettingsError(
            "HEADROOM_VISIBILITY_TIMEOUT_S must be above HEADROOM_TASK_HARD_LIMIT_S "
            f"({settings.task_hard_limit_s}), not {settings.visibility_timeout_s}: work would be handed out twice."
        )
    if settings.worker_deaf_after_s <= settings.task_hard_limit_s:
        raise SettingsError(
            "HEADROOM_WORKER_DEAF_AFTER_S must be above HEADROOM_TASK_HARD_LIMIT_S "
            f"({settings.task_hard_limit_s}), not {settings.worker_deaf_after_s:g}: a busy worker would end itself."
        )
    if settings.silent_after_s <= 2 * BEAT_EVERY_S:
        raise SettingsError(
            f"HEADROOM_SILENT_AFTER_S must be above {2 * BEAT_EVERY_S:g}, not {settings.silent_after_s:g}: a process "
            f"says every {BEAT_EVERY_S:g} s that it lives, and one word may come late."
        )


def settings_from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment states; an unset or empty variable leaves the default."""
    environ = os.environ if environ is None else environ
    missing = [name for name in _REQUIRED if not environ.get(name, "").strip()]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} must be set. scripts/run starts everything without them; the README lists them all."
        )
    given: dict[str, object] = {"config_dir": ROOT / "config", "data_dir": ROOT / ".headroom"}
    for variable in VARIABLES:
        text = environ.get(variable.name, "")
        if text.strip():
            given[variable.setting] = _value(variable, text)
    given.setdefault("metrics_dir", Path(str(given["data_dir"])) / "metrics")
    settings = Settings(**given)  # type: ignore[arg-type]  # each parser yields the type of its setting; a test checks
    _check_clocks(settings)
    return settings
