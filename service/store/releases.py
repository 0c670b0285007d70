"""Releases: the versions that this installation has run."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.insert import insert_if_absent
from service.store.tables.releases import ReleaseRow


def record(
    session: Session,
    *,
    catalog_version: str,
    calibration_version: str,
    engine_version: str,
    price_book_digest: str,
    now: datetime,
) -> bool:
    """Write the versions down; False when they are known already."""
    return insert_if_absent(
        session,
        ReleaseRow,
        catalog_version=catalog_version,
        calibration_version=calibration_version,
        engine_version=engine_version,
        price_book_digest=price_book_digest,
        created_at=now,
    )


def newest(session: Session) -> ReleaseRow | None:
    """The release that was written down last."""
    return session.scalar(select(ReleaseRow).order_by(ReleaseRow.id.desc()).limit(1))


def get(session: Session, release_id: int) -> ReleaseRow | None:
    """The release of that number."""
    return session.get(ReleaseRow, release_id)
