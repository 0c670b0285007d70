"""The receiver of webhooks."""

import hashlib
import hmac

from scripts.faulting.receiver import FAILS_FIRST, GONE, Receiver


def test_a_receiver_answers_as_its_path_says_and_knows_a_signature():
    receiver = Receiver()
    signed = "t=1,v1=" + hmac.new(b"secret", b"1.{}", hashlib.sha256).hexdigest()
    assert [receiver.received(FAILS_FIRST, "evt_1", signed, b"{}") for _ in range(5)] == [500] * 4 + [200]
    assert receiver.received(GONE, "evt_1", signed, b"{}") == 410
    [first, *_] = receiver.of(FAILS_FIRST)
    assert first.is_signed_with("secret")
    assert not first.is_signed_with("other")
