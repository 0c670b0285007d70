"""Releases: which versions of catalog, calibration, engine and price book this installation has run."""

from datetime import datetime

from sqlalchemy import Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Row


class ReleaseRow(Row):
    """Written once, by the first process that starts with new versions; schedules trigger on it."""

    __tablename__ = "releases"
    __table_args__ = (
        UniqueConstraint(
            "catalog_version", "calibration_version", "engine_version", "price_book_digest", name="uq_releases_versions"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    catalog_version: Mapped[str] = mapped_column(Text)
    calibration_version: Mapped[str] = mapped_column(Text)
    engine_version: Mapped[str] = mapped_column(Text)
    price_book_digest: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
