"""How a receiver checks a signature, as the README says it, on what is really sent."""

import re
from datetime import UTC, datetime

import pytest

from config.environment import ROOT
from service.planning.webhook_changes import rotate

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def verified():
    """The function of the README."""
    [block] = re.findall(r"<!-- verify: .*?```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(block, names)
    return names["verified"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_readme_tells_what_is_ours_from_what_is_not(rig, verified):
    rig.clock.now = datetime.now(UTC)
    first = rig.hooked()
    second = rotate(rig.runtime, rig.admin, first.id, old_valid_h=1, version=None, request_id="req_2")
    rig.happen()
    rig.work()
    [received] = rig.sink.received
    header = received.headers["headroom-signature"]
    assert verified(received.body, header, first.secret)
    assert verified(received.body, header, second.secret)
    assert not verified(received.body + b" ", header, first.secret)
    assert not verified(received.body, header, "whsec_other")
    assert not verified(received.body, header.replace("t=1", "t=2"), first.secret)
    assert not verified(received.body, header, first.secret, tolerance_s=-1)
