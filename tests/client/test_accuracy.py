"""`headroom accuracy`: predicted beside what others measured."""

import re

from service.client.ending import Ending


def test_accuracy_is_a_table_of_errors(command):
    done = command("accuracy", "--kind", "science", "--by", "gpu")
    assert done.code == Ending.DONE, done.err
    for words in ("mlups", "b200-sxm", "inside", "published points are predicted"):
        assert words in done.out
    summary = command("accuracy", "--metric", "mlups", "--json").json
    assert [item["metric"] for item in summary["items"]] == ["mlups"]


def test_accuracy_of_nothing_is_said(command):
    done = command("accuracy", "--gpu", "abacus")
    assert done.code == Ending.DONE, done.err
    assert "0 of 0 published points" in done.out


def test_a_wrong_filter_of_accuracy_is_refused(command):
    done = command("accuracy", "--by", "gpus")
    assert done.code == Ending.REFUSED
    assert "Did you mean gpu?" in done.err


def test_no_two_columns_of_the_accuracy_have_one_name(command):
    head = command("accuracy").out.splitlines()[0]
    columns = re.split(r" {2,}", head.strip())
    assert len(set(columns)) == len(columns)
    assert {"median error", "group median"} <= set(columns)
