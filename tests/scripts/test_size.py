"""scripts/size: a table or JSON for a workload, sentences and exit code 2 for what is none."""

import json
import re

import pytest

from config.environment import ROOT
from scripts import size_file
from tests.facts import own_book, own_catalog

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))
CHAT = ROOT / "config" / "examples" / "inference-chat-llama-3.3-70b.json"


@pytest.fixture
def workload(tmp_path):
    def write(body):
        path = tmp_path / "workload.json"
        path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
        return str(path)

    return write


def sized(arguments):
    return size_file.main(arguments, (own_catalog(), own_book()))


def changed(**workload):
    body = json.loads(CHAT.read_bytes())
    body["workload"] |= workload
    return body


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_sized_and_fits(path, capsys):
    assert sized([str(path)]) == 0
    shown = capsys.readouterr().out
    assert json.loads(path.read_bytes())["name"] in shown
    for words in ("option 1 (recommended)", "PowerEdge", "layout", "confidence", "what binds", "racks", "indicative"):
        assert words in shown


def test_there_is_an_example_of_each_kind():
    kinds = {json.loads(path.read_bytes())["workload"]["kind"] for path in EXAMPLES}
    assert kinds == {"inference", "training", "science"}


def test_json_is_the_whole_result_with_its_working(capsys):
    # Reads the facts itself, as a person's command does.
    assert size_file.main([str(CHAT), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["feasible"] is True
    assert result["options"][0]["working"]
    assert result["options"][0]["cost"]["indicative"] is True


def test_top_says_how_many(capsys):
    assert sized([str(CHAT), "--top", "1"]) == 0
    shown = capsys.readouterr().out
    assert "option 1" in shown
    assert "option 2" not in shown


def test_nothing_fits_is_an_answer(workload, capsys):
    body = changed(demand={"requests_s": 5})
    body["constraints"] = {"max_facility_kw": 1}
    assert sized([workload(body)]) == 0
    shown = capsys.readouterr().out
    assert "Nothing fits." in shown
    assert "Cheapest change:" in shown


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (changed(model="lama-3.3-70b"), r"workload\.model: .*Did you mean llama-3\.3-70b"),
        (changed(isl_tokens=0), r"workload\.isl_tokens"),
        (changed(demand={"users": 5, "concurrency": 2}), r"demand"),
        (changed(colour="red"), r"workload\.colour"),
        ('{"workload": {}, "workload": {}}', r"twice"),
        ('{"workload": NaN}', r"NaN"),
        ("[" * 100_000, r"nested|deep"),
        ("", r"empty"),
        ("no json", r"not JSON"),
    ],
)
def test_a_wrong_file_is_told_in_sentences(workload, capsys, body, sentence):
    assert sized([workload(body)]) == 2
    told = capsys.readouterr()
    assert re.search(sentence, told.err), told.err
    assert "Traceback" not in told.err
    assert told.out == ""


@pytest.mark.parametrize("name", ["no-such-file.json", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(capsys, name):
    assert sized([name]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_of_many_megabytes_is_refused(tmp_path, capsys):
    path = tmp_path / "large.json"
    path.write_bytes(b" " * 2_000_000)
    assert sized([str(path)]) == 2
    assert "larger than" in capsys.readouterr().err
