"""Row: what every table shares; constraints are named by a convention so that migrations can name them too."""

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(DeclarativeBase):
    """A row of a table; no behaviour."""

    metadata = MetaData(naming_convention=NAMING)


class Owned:
    """A row of one tenant. Whoever acts for a tenant sees those of that tenant alone: service/store/scope.py."""

    # Each table says of it what it needs: a key, an index.
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
