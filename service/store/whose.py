"""Whose rows a compiled statement means: each place of a table that has tenants, and the values it is kept to.

It is read off what is compiled at last, after the ORM has put in what it puts in: nothing is believed to be narrowed.
SQLAlchemy keeps what it has compiled, so a statement is read once and only its values are looked at each time.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy.sql import FromClause, Join, operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, Grouping, TextClause
from sqlalchemy.sql.selectable import FromGrouping

from service.store.tables.row import Row

TENANT = "tenant_id"
_ONE_OF = (operators.eq, operators.in_op)

_Compared = tuple[FromClause, BindParameter[Any]]


class Named(NamedTuple):
    """The names of the values that say whose rows are meant, and what is not kept to any."""

    places: tuple[str, ...]
    forgotten: tuple[str, ...]


class WhoseCompiler(SQLCompiler):
    """Beside a dialect's own compiler: notes what each SELECT, UPDATE, DELETE and INSERT in a statement is kept to.

    A table counts as kept where, by itself, its tenant is compared with bound values, and the comparison holds for
    every row: one side of an OR does not, nor does one of a LEFT JOIN's ON for the table on its left.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # It compiles as it is made.
        self._compared: list[BindParameter[Any]] = []
        self._forgotten: list[str] = []
        self._writes_tenants = False
        super().__init__(*args, **kwargs)

    @functools.cached_property
    def named(self) -> Named:
        """What was noted."""
        places = {self.bind_names[bind] for bind in self._compared}
        if self._writes_tenants:
            places.add(TENANT)
        return Named(tuple(sorted(places)), tuple(self._forgotten))

    def _compose_select_body(  # noqa: PLR0917 - as it is called
        self,
        text: str,
        select: Any,
        compile_state: Any,
        inner_columns: Any,
        froms: Any,
        byfrom: Any,
        toplevel: Any,
        kwargs: Any,
    ) -> Any:
        """The one step at which the FROMs and the WHERE of a SELECT stand as they will be written."""
        self._note(froms, select._where_criteria)  # noqa: SLF001
        body: Any = super()._compose_select_body
        return body(text, select, compile_state, inner_columns, froms, byfrom, toplevel, kwargs)

    def visit_update(self, update_stmt: Update, visiting_cte: Any = None, **kw: Any) -> str:
        """UPDATE; who writes a tenant names one."""
        is_whole = self._is_whole(visiting_cte)
        text = super().visit_update(update_stmt, visiting_cte, **kw)
        self._note_dml(update_stmt, is_whole=is_whole)
        self._writes_tenants |= is_owned(update_stmt.table) and TENANT in self.binds
        return text

    def visit_delete(self, delete_stmt: Delete, visiting_cte: Any = None, **kw: Any) -> str:
        """DELETE."""
        is_whole = self._is_whole(visiting_cte)
        text: str = super().visit_delete(delete_stmt, visiting_cte, **kw)  # type: ignore[no-untyped-call]
        self._note_dml(delete_stmt, is_whole=is_whole)
        return text

    def visit_insert(self, insert_stmt: Insert, *args: Any, **kw: Any) -> Any:
        """INSERT: the tenant is a value of each row."""
        is_whole = self._is_whole(kw.get("visiting_cte", args[0] if args else None))
        text = super().visit_insert(insert_stmt, *args, **kw)  # type: ignore[no-untyped-call]
        if is_owned(insert_stmt.table):
            if is_whole and TENANT in self.binds:
                self._writes_tenants = True
            else:
                self._forgotten.append(insert_stmt.table.description)
        return text

    def visit_textclause(self, textclause: TextClause, *args: Any, **kw: Any) -> Any:
        """Words that nobody reads."""
        self._forgotten.append(f"text {textclause.text!r}")
        return super().visit_textclause(textclause, *args, **kw)  # type: ignore[no-untyped-call]

    def _is_whole(self, visiting_cte: Any) -> bool:
        return visiting_cte is None and not self.stack

    def _note_dml(self, statement: Update | Delete, *, is_whole: bool) -> None:
        if is_whole:
            state: Any = self.compile_state
            self._note((statement.table, *state._extra_froms), state.statement._where_criteria)  # noqa: SLF001
        elif is_owned(statement.table):
            # In a WITH: what it is compiled to is out of reach.
            self._forgotten.append(statement.table.description)

    def _note(self, froms: Iterable[FromClause], where: Sequence[Any]) -> None:
        everywhere = [pair for clause in where for pair in _comparisons(clause)]
        for table, joined in _tables(froms):
            if not is_owned(table):
                continue
            compared = [bind for of, bind in (*everywhere, *joined) if of == table]
            self._compared += compared
            if not compared:
                self._forgotten.append(table.description)


def whose(compiler: type[SQLCompiler]) -> type[SQLCompiler]:
    """The compiler of a dialect, and what its statements are kept to is known."""
    if issubclass(compiler, WhoseCompiler):
        return compiler
    return type(f"Whose{compiler.__name__}", (WhoseCompiler, compiler), {})


def is_owned(table: type[Row] | FromClause) -> bool:
    """Whether each of its rows is of one tenant; a table that is only named is the one of that name."""
    if not isinstance(table, FromClause):
        table = table.__table__
    known = Row.metadata.tables.get(getattr(getattr(table, "element", table), "name", None) or "")
    return TENANT in (table if known is None else known).columns


def _tables(
    froms: Iterable[FromClause], joined: Sequence[_Compared] = ()
) -> Iterator[tuple[FromClause, Sequence[_Compared]]]:
    """Tables and their aliases, with what the joins that they stand in compare for every row of theirs."""
    for one in froms:
        if isinstance(one, FromGrouping):
            yield from _tables((one.element,), joined)
        elif isinstance(one, Join):
            on = [] if one.full or one.onclause is None else list(_comparisons(one.onclause))
            yield from _tables((one.left,), (*joined, *([] if one.isouter else on)))
            yield from _tables((one.right,), (*joined, *on))
        elif not _is_read_by_itself(one):
            yield one, joined


def _is_read_by_itself(one: FromClause) -> bool:
    """A subquery, or a WITH: what it selects from was noted as it was compiled."""
    element = getattr(one, "element", None)
    return getattr(element, "is_select", False) or getattr(element, "is_dml", False)


def _comparisons(clause: Any) -> Iterator[_Compared]:
    if isinstance(clause, Grouping):
        yield from _comparisons(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for part in clause.clauses:
            yield from _comparisons(part)
    elif (
        isinstance(clause, BinaryExpression)
        and clause.operator in _ONE_OF
        and getattr(clause.left, "key", None) == TENANT
        and isinstance(clause.right, BindParameter)
    ):
        table = getattr(clause.left, "table", None)
        if table is not None:
            yield table, clause.right
