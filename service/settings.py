"""The frozen settings that every process receives; config/environment.py fills them."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

# So often a worker or dispatcher says that it lives.
BEAT_EVERY_S = 2.0
# So many threads of the server for each place where a request is worked on (`web_threads`): others read, or wait.
THREADS_PER_PLACE = 8


class Cores(StrEnum):
    """Which cores a web process runs on: any, or one of its own."""

    ANY = "any"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses, folders and clocks. Times in seconds. The tests run with short clocks."""

    database_url: str
    broker_url: str
    cache_url: str
    config_dir: Path
    data_dir: Path
    # Where the processes of a host count together for /metrics; None: each alone.
    metrics_dir: Path | None = None
    log_level: str = "INFO"
    # Where spans are sent, and with which headers; empty: nothing is traced, and OpenTelemetry is not even loaded.
    otlp_endpoint: str = ""
    otlp_headers: str = field(default="", repr=False)
    # Soft limit < hard limit < lease: nobody else takes a run that is still worked on. Visibility = 2 x hard limit.
    task_soft_limit_s: int = 10
    task_hard_limit_s: int = 15
    lease_s: float = 20.0
    visibility_timeout_s: int = 30
    max_attempts: int = 3
    outbox_poll_s: float = 1.0
    sweep_interval_s: float = 5.0
    # A run that was sent and not claimed for this long is rung again: the doorbell may be lost.
    resend_after_s: float = 30.0
    dispatcher_lease_s: float = 10.0
    # A worker that took none of the waiting messages for this long ends itself; above the hard limit, it may be busy.
    worker_deaf_after_s: float = 30.0
    # Whoever has not said for this long that it lives is taken to be dead.
    silent_after_s: float = 10.0
    # The service is not ready while a run waits for longer than this.
    queue_age_max_s: float = 60.0
    cache_ttl_s: int = 7 * 24 * 3600
    # A key that was just checked is trusted for this long: so much later a revoked one is refused everywhere.
    key_memory_s: float = 0.25
    # Networks that webhooks may call although they are not public, as CIDRs with commas in between; on any port.
    webhook_networks: str = ""
    # A delivery that failed is tried again after this, then after twice as long, and given up after the window.
    webhook_retry_first_s: float = 10.0
    webhook_retry_window_s: float = 72 * 3600.0
    # Deliveries that one process sends at a time.
    webhook_concurrency: int = 8
    # For so long a process remembers which webhooks of a tenant listen.
    webhook_memory_s: float = 1.0
    # Finished runs that each web process keeps in memory.
    kept_bytes: int = 64_000_000
    # For so long a request that is sent again under its idempotency key gets the first answer again.
    idempotency_ttl_s: int = 24 * 3600
    # For so many days what is over is kept; 0 is for ever.
    keep_runs_days: int = 365
    keep_batches_days: int = 90
    keep_occurrences_days: int = 90
    keep_draft_documents_days: int = 30
    keep_deliveries_days: int = 30
    keep_audit_days: int = 1096
    broker_connect_timeout_s: float = 1.0
    breaker_open_s: float = 5.0
    web_host: str = "127.0.0.1"
    web_port: int = 8080
    web_workers: int = 2
    web_threads: int = 8
    web_cores: Cores = Cores.ANY
    wait_max_s: int = 30
    worker_concurrency: int = 2
    body_limit_bytes: int = 1_000_000
    # A body that takes longer than this to arrive is refused.
    body_timeout_s: float = 10.0
    # The same of an uploaded batch, which goes to a file as it comes.
    batch_limit_bytes: int = 64_000_000
    batch_timeout_s: float = 120.0
    # Per tenant and window; the last one per address, for calls without a valid key.
    rate_window_s: int = 10
    rate_limit_reads: int = 6_000
    rate_limit_writes: int = 3_000
    rate_limit_unknown: int = 600
    # Runs of a tenant that are open at once.
    open_runs_max: int = 10_000
