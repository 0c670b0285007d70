"""Copies of the tree, to be broken or to be of another release."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from config.environment import ROOT
from service.store.revision import head_revision

_COPIED = ("service", "workers", "config", "scripts")
# What somebody is about to keep there; what is kept already says itself what it was made of, and goes along.
UNFINISHED = ("*.pyc.*", "*.parsed.*", "*.made.*")
_VERSIONS = Path("service/store/migrations/versions")
_NEXT = '''"""The next release: columns, a table and an index that this one does not know."""

import sqlalchemy as sa
from alembic import op

revision = "{new}"
down_revision = "{old}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "workloads", "quotes"):
        op.add_column(table, sa.Column("of_the_next_release", sa.Text(), nullable=True))
    op.create_index("ix_of_the_next_release", "runs", ["of_the_next_release"])
    op.create_table("of_the_next_release", sa.Column("id", sa.Text(), primary_key=True))


def downgrade() -> None:
    op.drop_table("of_the_next_release")
    op.drop_index("ix_of_the_next_release", "runs")
    for table in ("quotes", "workloads", "runs"):
        op.drop_column(table, "of_the_next_release")
'''


@contextmanager
def copied_tree(prefix: str) -> Iterator[Path]:
    """A copy of the product's code and facts, while the block lasts."""
    with TemporaryDirectory(prefix=prefix) as name:
        tree = Path(name)
        for folder in _COPIED:
            shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns(*UNFINISHED))
        yield tree


def make_next_release(tree: Path) -> tuple[str, str]:
    """Give a copy of the tree one migration more; the revision of before, and that of after it."""
    old = head_revision()
    new = f"{int(old) + 1:0{len(old)}d}"
    (tree / _VERSIONS / f"{new}_the_next_release.py").write_text(_NEXT.format(new=new, old=old), encoding="utf-8")
    return old, new


@contextmanager
def next_release() -> Iterator[tuple[Path, str]]:
    """The release after this one, with the revision of this one."""
    with copied_tree("headroom-next-") as tree:
        old, _ = make_next_release(tree)
        yield tree, old
