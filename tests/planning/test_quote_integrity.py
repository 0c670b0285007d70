"""What a quote says is what was written: every read holds it against its hash, and nothing around it moves it."""

from dataclasses import replace

import orjson
import pytest
from sqlalchemy import update

from service.errors import (
    DamagedError,
)
from service.planning.quote_drafting import sha256_of
from service.planning.quote_steps import accept
from service.planning.quotes import get_quote
from service.planning.transact import transact
from service.store.tables.quotes import QuoteRow
from tests.planning.selling import ONE_DATABASE, Desk, sized


@pytest.fixture
def desk(runtime, caller) -> Desk:
    return Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))


@ONE_DATABASE
@pytest.mark.parametrize("column", ["snapshot", "sha256", "approved_sha256"])
def test_what_is_not_what_was_written_is_never_shown(column, desk, runtime):
    desk.book()
    quote = desk.issued()
    cheaper = quote.snapshot.decode().replace('"quantity":', '"quantity": ', 1)
    values = {"snapshot": cheaper, "sha256": "sha256:0", "approved_sha256": "sha256:0"}
    transact(
        runtime,
        lambda session: session.execute(
            update(QuoteRow).values({column: values[column]}).where(QuoteRow.id == quote.id)
        ),
    )
    with pytest.raises(DamagedError, match=quote.number):
        get_quote(runtime, desk.seller, quote.id)
    with pytest.raises(DamagedError):
        desk.step(accept, quote, acceptance={})


@ONE_DATABASE
def test_a_change_of_the_content_and_its_hash_alike_is_found_by_the_approval(desk, runtime):
    desk.book()
    quote = desk.issued()
    forged = orjson.dumps({**orjson.loads(quote.snapshot), "currency": "EUR"}, option=orjson.OPT_SORT_KEYS)
    values = {"snapshot": forged.decode(), "sha256": sha256_of(forged)}
    transact(runtime, lambda session: session.execute(update(QuoteRow).values(values).where(QuoteRow.id == quote.id)))
    with pytest.raises(DamagedError):
        get_quote(runtime, desk.seller, quote.id)


@ONE_DATABASE
def test_an_issued_quote_is_the_same_to_the_byte_whatever_changes_around_it(desk, runtime):
    desk.book()
    quote = desk.issued()
    desk.book(price="5.00")
    later = replace(runtime, catalog=replace(runtime.catalog, version="sha256:newer"))
    assert get_quote(later, desk.seller, quote.id).snapshot == quote.snapshot
