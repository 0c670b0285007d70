"""What scripts/run fills in before anything is started."""

from pathlib import Path

import pytest

from scripts.serve import make_plan
from service.settings import Cores


@pytest.mark.parametrize(
    ("given", "filled"),
    [({}, Cores.OWN), ({"HEADROOM_WEB_CORES": " "}, Cores.OWN), ({"HEADROOM_WEB_CORES": "any"}, Cores.ANY)],
)
def test_web_processes_have_cores_of_their_own_unless_somebody_says_otherwise(
    tmp_path: Path, given: dict[str, str], filled: Cores
) -> None:
    plan = make_plan(given, data_dir=tmp_path, logs=tmp_path, port=None)
    assert plan.settings.web_cores is filled
    assert plan.environ["HEADROOM_WEB_CORES"] == filled
