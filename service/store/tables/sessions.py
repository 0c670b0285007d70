"""Browser sessions: who is signed in to the pages, through which key."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class BrowserSessionRow(Owned, Row):
    """A session of one key. Of its secret only the SHA-256 is kept, and for a moment that of the secret before it."""

    __tablename__ = "browser_sessions"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), index=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    previous_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    form_token: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    rotated_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
