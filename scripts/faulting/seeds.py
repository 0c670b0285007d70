"""Seeds: of a run of the protocol, and of the one in the project's own tests."""

import os
import secrets
import uuid
import zlib

VARIABLE = "FAULTS_SEED"
"""Names the seed of the tests, to repeat them."""
_MOST = 1_000_000
# The same in every process of one run of the tests, which must all collect the same ones.
_RUN_OF_TESTS = "PYTEST_XDIST_TESTRUNUID"


def new_seed() -> int:
    """One that nobody has chosen."""
    return secrets.randbelow(_MOST)


def seed_of_tests() -> int:
    """Of this run of the tests: another one each time unless it is given, and the same in all of its processes."""
    given = os.environ.get(VARIABLE)
    if given:
        return int(given)
    return zlib.crc32(os.environ.get(_RUN_OF_TESTS, uuid.uuid4().hex).encode()) % _MOST
