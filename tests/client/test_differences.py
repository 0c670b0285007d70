"""`headroom diff`: what changed between two results."""

import re

from service.client.answers import make_console
from service.client.differences import print_difference
from service.client.ending import Ending


def test_a_difference_is_shown_whatever_its_members_are(capsys):
    diff = {
        "a": "run_1",
        "same": False,
        "causes": ["catalog", "price"],
        "versions": {"catalog": {"before": "sha256:1", "after": "sha256:2"}, "engine": None},
        "changes": [
            {"field": "servers", "before": 2, "after": 3},
            {"field": "gpu", "after": "b200-sxm", "note": "[x]"},
        ],
        "notes": [],
    }
    print_difference(make_console(), diff, of="run_1", against="run_2")
    shown = capsys.readouterr().out
    for words in ("same: no", "catalog: before sha256:1, after sha256:2", "engine: unknown", "notes: none", "[x]"):
        assert words in shown
    assert re.search(r"servers +2 +3", shown)


def test_what_one_of_two_runs_has_not_is_none_and_a_place_changes_by_no_share(capsys):
    change = {"quantity": "rank", "old": None, "new": 3, "change_fraction": None}
    print_difference(make_console(), {"outcome": [change]}, of="run_1", against="run_2")
    assert re.search(r"rank +none +3 *\n", capsys.readouterr().out)


def test_two_runs_are_compared_with_causes_and_effects(command, question, file):
    on_8, on_16 = question(target={"gpus": 8}), question(target={"gpus": 16})
    on_16["workload"]["tokens"] = on_8["workload"]["tokens"]
    ids = [command("size", file(body), "--json").json["id"] for body in (on_8, on_16)]
    done = command("diff", *ids)
    assert done.code == Ending.DONE, done.err
    assert re.search(r"workload +workload\.target\.gpus +8 +16 *\n", done.out)
    assert "workload.tokens" not in done.out
    assert re.search(r"recommended\.gpus +8 +16 +\+100\.0%", done.out)
    assert re.search(r"time_to_train_days\.p50 +[\d.]+ +[\d.]+ +-\d", done.out)
    document = command("diff", *ids, "--json").json
    assert f"and {len(document['options']) - 3} more" in done.out
    assert [option["server"] in done.out for option in document["options"][:4]] == [True, True, True, False]
    assert document["options"][0]["changes"]


def test_equal_runs_are_told_to_be_equal(command, question, file):
    path = file(question())
    ids = [command("size", path, "--json").json["id"] for _ in range(2)]
    done = command("diff", *ids)
    assert done.code == Ending.DONE, done.err
    assert "Nothing differs" in done.out
    assert "causes: none" in done.out
