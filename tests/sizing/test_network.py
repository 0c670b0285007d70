"""What crosses the links in a collective, worked out by hand."""

import numpy as np
import pytest

from service.sizing.network import DIRECT_BYTES, direct_bytes


def test_a_small_buffer_goes_to_every_peer_and_a_large_one_to_none_beyond_its_share() -> None:
    assert direct_bytes(1e3, peers=7.0) == pytest.approx(7e3, rel=1e-3)
    assert direct_bytes(DIRECT_BYTES, peers=3.0) == pytest.approx(1.5 * DIRECT_BYTES)
    assert direct_bytes(1e12, peers=7.0) == pytest.approx(7.0 * DIRECT_BYTES, rel=1e-3)


def test_more_is_sent_the_larger_the_buffer_is() -> None:
    sent = direct_bytes(np.geomspace(1e2, 1e10, 50), peers=np.array([[1.0], [7.0]]))
    assert (np.diff(sent, axis=1) > 0.0).all()
    assert sent[1] == pytest.approx(7.0 * sent[0])
