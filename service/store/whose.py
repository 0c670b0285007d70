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
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    Grouping,
    TextClause,
)
from sqlalchemy.sql.selectable import FromGrouping

from service.store.tables.row import Row

TENANT = "tenant_id"
# The one name here that no call would miss: a SQLAlchemy without it fails at import, and not by passing unread SELECTs.
_SELECT_STEP: Any = SQLCompiler._compose_select_body  # noqa: SLF001
_ONE_OF = (operators.eq, operators.in_op)

_Compared = tuple[FromClause, BindParameter[Any]]


class Named(NamedTuple):
    """The names of the values that say whose rows are meant, and what is not kept to any."""

    places: tuple[str, ...]
    forgotten: tuple[str, ...]


class WhoseCompiler(SQLCompiler):
    """Beside a dialect's own compiler: notes what each SELECT, UPDATE, DELETE and INSERT in a statement is kept to.

    A table counts as kept where, by itself, its tenant is compared with bound values, and the comparison holds for
    every row: one side of an OR does not, nor does one of a LEFT JOIN's ON for the table on its left. Each row that is
    inserted has a bound value for its tenant, and no row is given another one. Shapes that nobody needs are not judged
    but refused: what is inserted out of a SELECT, what is changed in a WITH, hints.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # It compiles as it is made.
        self._compared: list[BindParameter[Any]] = []
        self._written: list[str] = []
        self._forgotten: list[str] = []
        super().__init__(*args, **kwargs)

    @functools.cached_property
    def named(self) -> Named:
        """What was noted."""
        places = {self.bind_names[bind] for bind in self._compared}
        return Named(tuple(sorted(places.union(self._written))), tuple(self._forgotten))

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
        if select._hints or select._statement_hints:  # noqa: SLF001
            self._forgotten.append("a hint")
        body: Any = super()._compose_select_body
        return body(text, select, compile_state, inner_columns, froms, byfrom, toplevel, kwargs)

    def visit_update(self, update_stmt: Update, visiting_cte: Any = None, **kw: Any) -> str:
        """UPDATE; a row stays its tenant's."""
        is_whole = self._is_whole(update_stmt, visiting_cte)
        text = super().visit_update(update_stmt, visiting_cte, **kw)
        if is_whole:
            self._note_dml(update_stmt.table)
            state: Any = self.compile_state
            given = _names(state._dict_parameters or ()) | set(self.column_keys or ())  # noqa: SLF001
            if is_owned(update_stmt.table) and TENANT in given:
                self._forgotten.append(f"{update_stmt.table.description} after it")
        return text

    def visit_delete(self, delete_stmt: Delete, visiting_cte: Any = None, **kw: Any) -> str:
        """DELETE."""
        is_whole = self._is_whole(delete_stmt, visiting_cte)
        text: str = super().visit_delete(delete_stmt, visiting_cte, **kw)  # type: ignore[no-untyped-call]
        if is_whole:
            self._note_dml(delete_stmt.table)
        return text

    def visit_insert(
        self, insert_stmt: Insert, visited_bindparam: Any = None, visiting_cte: Any = None, **kw: Any
    ) -> Any:
        """INSERT: the tenant is a value of each row."""
        is_whole = self._is_whole(insert_stmt, visiting_cte)
        text = super().visit_insert(insert_stmt, visited_bindparam, visiting_cte, **kw)  # type: ignore[no-untyped-call]
        if is_whole and is_owned(insert_stmt.table):
            for place in _places(self.compile_state):
                if place in self.binds:
                    self._written.append(place)
                else:
                    self._forgotten.append(insert_stmt.table.description)
        return text

    def visit_on_conflict_do_update(self, on_conflict: Any, **kw: Any) -> Any:
        """The row that is there instead is of the same tenant only where its tenant is among what must be unique."""
        statement: Any = self.stack[-1]["selectable"]
        target = _names(on_conflict.inferred_target_elements or ())
        given = _names(dict(on_conflict.update_values_to_set))
        if is_owned(statement.table) and (TENANT not in target or TENANT in given):
            self._forgotten.append(f"{statement.table.description} that is there")
        return super().visit_on_conflict_do_update(on_conflict, **kw)  # type: ignore[misc]

    def visit_textclause(self, textclause: TextClause, *args: Any, **kw: Any) -> Any:
        """Words that nobody reads."""
        self._forgotten.append(f"text {textclause.text!r}")
        return super().visit_textclause(textclause, *args, **kw)  # type: ignore[no-untyped-call]

    def _is_whole(self, statement: Any, visiting_cte: Any) -> bool:
        """What a WITH changes is out of reach once it is compiled."""
        is_whole = visiting_cte is None and not self.stack
        if not is_whole:
            self._forgotten.append(f"{statement.table.description} in a WITH")
        return is_whole

    def _note_dml(self, table: FromClause) -> None:
        state: Any = self.compile_state
        self._note((table, *state._extra_froms), state.statement._where_criteria)  # noqa: SLF001

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


def _names(columns: Iterable[Any]) -> set[str]:
    return {str(getattr(column, "key", column)) for column in columns}


def _places(state: Any) -> Iterator[str]:
    """Where each row of an INSERT has its tenant, by the name that a value there is given; "" where it is no value."""
    rows = state._multi_parameters  # noqa: SLF001
    for number, row in enumerate(rows or [state._dict_parameters or {}]):  # noqa: SLF001
        value = {getattr(column, "key", column): value for column, value in row.items()}.get(TENANT)
        is_value = not isinstance(value, ClauseElement) or (isinstance(value, BindParameter) and value.unique)
        yield f"{TENANT}{f'_m{number}' if rows else ''}" if is_value else ""


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
