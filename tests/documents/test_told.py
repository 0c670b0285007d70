"""What the fault protocol reads in a quote's documents: every word that a caller has written."""

import pytest

from scripts.faulting.answer import Answer
from scripts.faulting.told import told
from service.documents.pdf import quote_pdf
from service.documents.xlsx import quote_xlsx

CANARY = "canary0123456789abcdef"


@pytest.mark.parametrize("written", [quote_pdf, quote_xlsx])
def test_a_customers_name_is_read_in_a_document(quote, written):
    snapshot = quote()
    body = written(snapshot, state="draft", sha256=None)
    snapshot["customer"]["name"] = f"Example University {CANARY}"
    named = written(snapshot, state="draft", sha256=None)
    heard = [told(Answer(status=200, headers={}, body=each, took_s=0.0)) for each in (body, named)]
    assert [CANARY.encode() in each for each in heard] == [False, True]
    assert CANARY.encode() not in named
