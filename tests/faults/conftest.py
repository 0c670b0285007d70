"""The ledger that the instruments of the protocol write into."""

import pytest

from scripts.faulting.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    yield ledger
    ledger.close()
