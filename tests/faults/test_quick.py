"""The quick profile of the fault protocol: nothing is lost, done twice or told to somebody else; times are recorded."""

import pytest

from scripts.faulting.choice import chosen
from scripts.faulting.protocol import protocol
from scripts.faulting.scene import Profile
from scripts.faulting.seeds import seed_of_tests
from tests.workers.conftest import limits_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]
# Another one each time, told where something does not hold; FAULTS_SEED repeats it.
SEED = seed_of_tests()
CASES = chosen((), profile=Profile.QUICK, seed=SEED)


# The protocol's own clocks give an honest sizing a second: too little where other tests run on the same cores.
PATIENT = limits_of(soft_s=4, hard_s=5, lease_s=6, visibility_s=10)


@pytest.fixture(scope="module")
def running():
    """One rig for all cases, as for the command."""
    with protocol(seed=SEED, profile=Profile.QUICK, changes=PATIENT) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=[f"{case.number}-{case.title.replace(' ', '-')}" for case in CASES])
def test_every_invariant_holds_after(running, case, record_property):
    outcome = running.run(case)
    for name, value in outcome.seen.notes.items():
        record_property(name, value)
    record_property("recovery_s", outcome.seen.recovery_s)
    record_property("seed", SEED)
    found = "\n".join(map(str, outcome.violations[:20]))
    assert not outcome.violations, f"seed {SEED}:\n{found}"
