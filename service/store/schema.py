"""Every table of the store in one metadata: what the migrations must add up to."""

from sqlalchemy import MetaData

from service.store.tables.audit import AuditEventRow
from service.store.tables.batches import BatchAnswerRow, BatchChunkRow, BatchItemRow, BatchRow
from service.store.tables.idempotency import IdempotencyRow
from service.store.tables.keys import ApiKeyRow, PrincipalRow
from service.store.tables.outbox import OutboxRow
from service.store.tables.price_books import PriceBookLineRow, PriceBookRow
from service.store.tables.processes import HeartbeatRow, LeaseRow
from service.store.tables.quotes import QuoteDocumentRow, QuoteNumberRow, QuoteRow
from service.store.tables.releases import ReleaseRow
from service.store.tables.row import Row
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.schedules import OccurrenceItemRow, OccurrenceRow, ScheduleRow
from service.store.tables.sessions import BrowserSessionRow
from service.store.tables.tenants import TenantRow
from service.store.tables.webhooks import WebhookDeliveryRow, WebhookEventRow, WebhookRow
from service.store.tables.workloads import WorkloadRow, WorkloadVersionRow

TABLES = (
    TenantRow,
    PrincipalRow,
    ApiKeyRow,
    WorkloadRow,
    WorkloadVersionRow,
    RunRow,
    ResultRow,
    OutboxRow,
    LeaseRow,
    HeartbeatRow,
    ReleaseRow,
    IdempotencyRow,
    AuditEventRow,
    PriceBookRow,
    PriceBookLineRow,
    QuoteRow,
    QuoteNumberRow,
    QuoteDocumentRow,
    BatchRow,
    BatchChunkRow,
    BatchItemRow,
    BatchAnswerRow,
    ScheduleRow,
    OccurrenceRow,
    OccurrenceItemRow,
    BrowserSessionRow,
    WebhookRow,
    WebhookEventRow,
    WebhookDeliveryRow,
)
METADATA: MetaData = Row.metadata
