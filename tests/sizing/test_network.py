"""What crosses the links in a collective, worked out by hand."""

import numpy as np
import pytest

from service.sizing.network import direct_bytes, reduced_share

HALF = 2.0e6


def test_a_small_buffer_goes_to_every_peer_and_a_large_one_to_none_beyond_its_share() -> None:
    assert direct_bytes(1e3, peers=7.0, half_bytes=HALF) == pytest.approx(7e3, rel=1e-3)
    assert direct_bytes(HALF, peers=3.0, half_bytes=HALF) == pytest.approx(1.5 * HALF)
    assert direct_bytes(1e12, peers=7.0, half_bytes=HALF) == pytest.approx(7.0 * HALF, rel=1e-3)


def test_more_is_sent_the_larger_the_buffer_is() -> None:
    sent = direct_bytes(np.geomspace(1e2, 1e10, 50), peers=np.array([[1.0], [7.0]]), half_bytes=HALF)
    assert (np.diff(sent, axis=1) > 0.0).all()
    assert sent[1] == pytest.approx(7.0 * sent[0])


def test_a_ring_moves_its_share_and_a_switch_spares_a_part_of_it_to_many() -> None:
    assert reduced_share(np.array([0.0, 1.0, 3.0, 7.0])).tolist() == [0.0, 1.0, 1.5, 1.75]
    assert reduced_share(7.0, spread=0.5) == pytest.approx(1.75**0.5)
    assert reduced_share(1.0, spread=0.5) == 1.0
