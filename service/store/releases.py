"""Releases: the versions that this installation has run."""

from datetime import datetime

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
