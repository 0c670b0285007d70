"""Uploads are cut into items: line by line, row by row, member by member, and never all of it at once."""

import csv
import io
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.pace import slowness
from service.errors import InvalidRequestError
from service.schemas import uploaded_list
from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded import CSV, JSON, MOST_ITEMS, NDJSON, uploaded
from service.schemas.workload import SizingRequestSchema
from tests.schemas.requests import CHAT


def cut(data: bytes, media_type: str, *, most_bytes: int = 1000):
    return list(uploaded(io.BufferedReader(io.BytesIO(data)), media_type, most_bytes=most_bytes, most_items=2000))


def values(data: bytes, media_type: str, **more):
    return [(item.line, None if item.wrong else json.loads(item.asked)) for item in cut(data, media_type, **more)]


def test_lines_count_empty_ones_too():
    assert values(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}', NDJSON) == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_line_that_is_too_long_is_an_item_of_its_own():
    long = b'{"a": "' + b"x" * 200_000 + b'"}'
    found = cut(b'{"a": 1}\n' + long + b'\n{"a": 2}\n' + long, NDJSON)
    assert [(item.line, item.wrong is None) for item in found] == [(1, True), (2, False), (3, True), (4, False)]
    assert "at most 1000 bytes" in found[1].wrong


def test_a_line_of_exactly_the_limit_is_taken():
    line = b'{"a": "' + b"x" * 991 + b'"}'
    assert len(line) == 1000
    assert [item.wrong for item in cut(line + b"\n" + line, NDJSON)] == [None, None]


def test_what_no_database_keeps_is_wrong():
    found = cut(b'{"a": "\xff"}\n{"a": "\x00"}\n', NDJSON)
    assert [("UTF-8" in item.wrong, "NUL" in item.wrong) for item in found] == [(True, False), (False, True)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("most", [1000, 200_000])
@pytest.mark.parametrize(
    "long",
    [
        "x" * 210_000,
        "x," * 105_000,
        'b,"' + "x" * 210_000 + '"',
        'b,"' + "x\n" * 105_000 + '",c',
        'b,"' + '""\n,' * 52_500 + '"',
        'b, "' + "x" * 210_000,
        'b"",c' + "x" * 210_000,
        '"",""' + ',""' * 70_000,
    ],
    ids=lambda long: f"{long[:8]!r}...",
)
def test_a_row_that_is_too_long_is_an_item_of_its_own(long, most, end):
    # Wherever the row is cut: in quotes, between two of them, in the end of a line.
    for more in range(3):
        data = end.join(["name,labels.a", "a,1", "x" * more + long, '"b",2', "", "y" * more + long])
        found = cut(data.encode(), CSV, most_bytes=most)
        inner = long.count("\n")
        told = [(2, True), (3, False), (4 + inner, True), (6 + inner, False)]
        assert [(item.line, item.wrong is None) for item in found] == told
        assert f"at most {most} bytes" in found[1].wrong or "131072 bytes" in found[1].wrong
        assert json.loads(found[2].asked) == {"name": "b", "labels": {"a": "2"}}


def test_a_row_of_exactly_the_limit_is_taken():
    rows = b"name\n" + b"x" * 500 + b"\r\n" + b"y" * 501 + b"\r\nz\n"
    found = cut(rows, CSV, most_bytes=502)
    assert [(item.line, item.wrong is None) for item in found] == [(2, False), (3, False), (4, True)]
    assert "502" in found[0].wrong


def test_a_long_cell_is_wrong_in_its_row_alone():
    found = cut(b"name\na\n" + b"x" * 140_000 + b"\nb\n", CSV, most_bytes=MB)
    assert [(item.line, item.wrong is None) for item in found] == [(2, True), (3, False), (4, True)]
    assert "131072 bytes" in found[1].wrong


def test_quotes_that_are_never_closed_hide_no_row():
    with pytest.raises(MalformedBodyError, match="line 3 is never closed"):
        cut(b'name\na\n"b\n' + b"c\n" * 100_000, CSV)
    with pytest.raises(MalformedBodyError, match="line 3 is never closed"):
        cut(b'name\na\n"' + b"x" * 150_000, CSV, most_bytes=MB)


def test_cells_are_json_or_text():
    data = (
        b"name,labels.a.b,workload.tokens,workload.keep_embeddings,workload.method,constraints.allowed_gpus,"
        b"constraints.max_budget_usd\n"
        b'12,true,1e3,true,x-1,"[1, 2]",250000\n'
        b",,,,-,,\n"
    )
    assert values(data, CSV) == [
        (
            2,
            {
                "name": "12",
                "labels": {"a.b": "true"},
                "workload": {"tokens": 1000.0, "keep_embeddings": True, "method": "x-1"},
                "constraints": {"allowed_gpus": [1, 2], "max_budget_usd": "250000"},
            },
        ),
        (3, {"workload": {"method": "-"}}),
    ]


def test_rows_that_do_not_fit_the_heading_are_wrong_alone():
    found = cut(b'workload.tokens,workload.tokens.mean,name\n1,2,3\n1,,3,4\n"x\ny",,\n{"": 1},2,\n', CSV)
    assert [(item.line, item.wrong is None) for item in found] == [(2, False), (3, False), (4, True), (6, True)]


def test_a_cell_that_is_no_text_is_wrong_in_its_row_alone():
    deep = b"[" * 300 + b"]" * 300
    found = cut(b"name,workload.tokens\n\xc3\xa9,1\n\xe9,1\nx," + deep + b"\n", CSV)
    assert [json.loads(item.asked)["name"] for item in found if item.wrong is None] == ["\u00e9"]
    assert [item.wrong for item in found[1:]] == ["The row is not UTF-8.", "A cell of the row is nested too deeply."]


@pytest.mark.parametrize("heading", [b"", b"a,,b", b"a..b", "\u00e4".encode(), b"a,a", b",".join([b"x"] * 300)])
def test_a_heading_that_names_no_fields_is_refused(heading):
    with pytest.raises(InvalidRequestError):
        cut(heading + b"\n1,2\n" if heading else b'""\n', CSV) or cut(b"a.\n1\n", CSV)


def test_members_are_found_across_pieces():
    members = [{"n": n, "text": "x" * 400, "more": [[n], {"a": "]},{"}]} for n in range(1000)]
    assert values(json.dumps(members, indent=2).encode(), JSON) == list(enumerate(members, 1))
    assert values(b" [ 1 , 2.5e3 , null ] ", JSON) == [(1, 1), (2, 2500.0), (3, None)]
    assert values(b"[12" + b" " * 70_000 + b"]", JSON) == [(1, 12)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,]",
        b"[1,,2]",
        b"[1}",
        b"[1]]",
        b"[1],",
        b"[1] 2",
        b'["]',
        b'["a\\"]',
        b"[" * 900,
    ],
)
def test_what_is_no_list_is_malformed(data):
    with pytest.raises(MalformedBodyError):
        cut(data, JSON)


def test_what_is_no_json_or_too_long_is_wrong_alone_in_a_list_too():
    texts = [b"1 2", b"tru", b'{"a": 1]', b'"\xff"', b'"\x00"', b" " * 2000 + b"4", b'"' + b"x" * 999 + b'"', b"5"]
    found = cut(b"[" + b" , ".join(texts) + b"]", JSON)
    assert [item.line for item in found] == list(range(1, 9))
    assert [item.asked for item in found] == ["1 2", "tru", '{"a": 1]', "", "", "4", "", "5"]
    assert ["UTF-8" in str(item.wrong) for item in found] == [place == 3 for place in range(8)]
    assert ["NUL" in str(item.wrong) for item in found] == [place == 4 for place in range(8)]
    assert ["at most 1000 bytes" in str(item.wrong) for item in found] == [place == 6 for place in range(8)]


def test_an_item_that_never_ends_is_named():
    with pytest.raises(MalformedBodyError, match="item 2 has no end"):
        cut(b'[1, "' + b"x" * 300_000, JSON)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_items_are_found_wherever_a_list_is_read_in_pieces(size, monkeypatch):
    monkeypatch.setattr(uploaded_list, "_READ_BYTES", size)
    texts = [r'"\\"', r'"\"]"', r'["\\\"", {"a": "}]"}]', r'"\u00e9\\\\"', '"\u00e9,"', "{}", "-1.5e3", r'"[\\\\\",["']
    between = " ,\n"
    found = cut(f" \r\n[{between.join(texts)} ]\t".encode(), JSON)
    assert [item.asked for item in found] == texts
    assert cut(b" [\t] ", JSON) == []


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_table_is_read_whatever_parts_its_cells(delimiter):
    rows = "\n\nname,workload.kind,workload.demand.requests_s\ncare,inference,1.5\n"
    found = values(rows.replace(",", delimiter).encode(), CSV)
    assert found == [(4, {"name": "care", "workload": {"kind": "inference", "demand": {"requests_s": 1.5}}})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("text", "form"), [("name\nx\n", CSV), ('{"name": "x"}', NDJSON), ('[{"name": "x"}]', JSON)])
def test_another_encoding_is_named_once(encoding, text, form):
    with pytest.raises(MalformedBodyError, match=r"UTF-16; save it as UTF-8"):
        cut(text.encode(encoding), form)


def test_a_column_that_no_workload_has_is_refused_once_with_what_was_meant():
    with pytest.raises(
        InvalidRequestError, match=r"'workload\.modl' names no field.*Did you mean workload\.model\?"
    ) as told:
        cut(b"name,workload.modl,workload.kind,isl_tokens\nx,y,z,1\n" * 3, CSV)
    meant = [(error.field, error.did_you_mean[0]) for error in told.value.detail.errors]
    assert meant == [("workload.modl", "workload.model"), ("isl_tokens", "workload.isl_tokens")]


def test_a_table_without_a_heading_is_refused_once():
    with pytest.raises(InvalidRequestError, match="the first row names fields by their path"):
        cut(b"care,inference,llama-3.1-8b\n" * 3, CSV)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_a_table_of_blank_lines_is_not_kept(blank):
    stream = io.BufferedReader(io.BytesIO(blank * 99_000))
    tracemalloc.start()
    try:
        assert list(uploaded(stream, CSV, most_bytes=1000)) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 500_000
    assert values(blank * 3 + b"name" + blank + b"x", CSV) == [(5, {"name": "x"})]


@pytest.mark.parametrize("digits", ["9" * 5000, "-" + "9" * 5000, "9" * 5000 + ".5", "1e" + "9" * 5000])
def test_a_long_number_is_passed_like_any_other(digits):
    (item,) = cut(b'[{"a": %s}]' % digits.encode(), JSON, most_bytes=10_000)
    assert item.asked == f'{{"a": {digits}}}'


MB = 1_000_000


def _members(count: int, items: int) -> bytes:
    """A list of so many items with so many members each, and something after it."""
    return _list(b"{" + b",".join('"\u20ac%05d":1'.encode() % n for n in range(count)) + b"}", items)


def _list(item: bytes, items: int) -> bytes:
    return b"[" + b",".join([item] * items) + b"]x"


# What an upload of 64 MB can hold, and be refused for in the end; together they would be two gigabytes.
WASTE = {
    "a list that is all space": (JSON, lambda: b" " * 60 * MB),
    "space in a list": (JSON, lambda: b"[1," + b" " * 60 * MB),
    "blank lines": (NDJSON, lambda: b"\n" * 15 * MB),
    "lines of spaces": (NDJSON, lambda: b"   \n" * 15 * MB),
    "blank rows": (CSV, lambda: b"name\n" + b",\n" * 15 * MB),
    "a table of blank lines": (CSV, lambda: b"\n" * 15 * MB),
    "items without end": (JSON, lambda: b"[" + b"{}," * 20 * MB + b"{}]"),
    "lines without end": (NDJSON, lambda: b"{}\n" * 20 * MB),
    "rows without end": (CSV, lambda: b"name\n" + b"x\n" * 20 * MB),
    "lists in lists": (JSON, lambda: _list(b"[" + b"[]," * 300_000 + b"1]", 66)),
    "numbers in lists": (JSON, lambda: _list(b"[" + b"1," * 470_000 + b"1]", 66)),
    "members of objects": (JSON, lambda: _members(70_000, 60)),
    "long lists of commas in texts": (JSON, lambda: _list(b'"' + b"," * 630 + b'"', 99_999)),
    "escapes": (JSON, lambda: _list(b'"' + rb"\\" * 318 + b'"', 99_000)),
    "escaped quotes": (JSON, lambda: _list(b'"' + rb"\"" * 318 + b'"', 99_000)),
    "one long number": (JSON, lambda: b"[" + b"1" * 60 * MB),
    "long texts, and no end": (JSON, lambda: b"[" + b'"' + b'x",' * 20 * MB),
    "a million columns": (CSV, lambda: b",".join(b"c%d" % n for n in range(MB)) + b"\n1\n"),
    "a heading that is one line": (CSV, lambda: "\u00e9".encode() * 30 * MB),
    "a heading of many lines": (CSV, lambda: (b'"' + b"x\n" * 60_000 + b'",') * 500),
    "a row that is one line, and no end": (CSV, lambda: b"name\n" + b"x," * 30 * MB + b'"'),
    "rows of many lines": (CSV, lambda: b"name\n" + (b'"' + b"x\n" * 400_000 + b'"\n') * 70),
    "cells without end": (CSV, lambda: b"name\n" + (b"," * 600 + b"x\n") * 99_000 + b'"'),
    "cells in quotes": (CSV, lambda: b"name\n" + (b'"",' * 199 + b'""\n') * 99_000 + b'"'),
    "commas in quotes": (CSV, lambda: b"name\n" + (b'"' + b"," * 630 + b'"\n') * 99_000 + b'"'),
    "lines and cells": (CSV, lambda: b"name\n" + (b'"\n",' * 10 + b'"",' * 190 + b'""\n') * 99_000 + b'"'),
    "lines and cells that are no UTF-8": (
        CSV,
        lambda: b"name\n" + (b'"\n",' * 9 + b"\xff," * 290 + b"x\n") * 99_000 + b'"',
    ),
    "lines and quoted cells that are no UTF-8": (
        CSV,
        lambda: b"name\n" + (b'"\n",' * 10 + b'"\xff",' * 150 + b"x\n") * 98_000 + b'"',
    ),
    "lines and text": (CSV, lambda: b"name\n" + (b'"' + b"\n" * 4 + b'",' + b"x" * 620 + b"\n") * 99_000 + b'"'),
    "lines alone": (CSV, lambda: b"name\n" + (b'"' + b"\n" * 10 + b'"\n') * 99_900 + b'"'),
    "long rows of cells": (CSV, lambda: b"name\n" + (b'"\n",' + b"x," * 400_000 + b"x" * 140_000 + b"\n") * 64 + b'"'),
    "a row of quotes": (CSV, lambda: b"name\n" + b'"",' * 20 * MB),
    "a row of many lines": (CSV, lambda: b"name\n" + (b'"' + b"x\n" * 60_000 + b'",') * 500),
}


@pytest.mark.parametrize("kind", WASTE)
def test_what_is_refused_in_the_end_costs_little(kind):
    media_type, made = WASTE[kind]
    stream = io.BufferedReader(io.BytesIO(made()))
    before = slowness()
    began_s = time.process_time()
    with pytest.raises((MalformedBodyError, InvalidRequestError)):
        uploaded(stream, media_type, most_bytes=MB)
    spent_s = time.process_time() - began_s
    # A second on an idle core. The pace may change meanwhile.
    assert spent_s < 1.0 * max(before, slowness())


@pytest.mark.parametrize(
    "kind",
    ["space in a list", "a million columns", "a row that is one line, and no end", "a row of many lines"],
)
def test_what_is_refused_in_the_end_is_not_kept(kind):
    media_type, made = WASTE[kind]
    stream = io.BufferedReader(io.BytesIO(made()))
    tracemalloc.start()
    try:
        with pytest.raises((MalformedBodyError, InvalidRequestError)):
            uploaded(stream, media_type, most_bytes=MB)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20 * MB


# With short texts there are the most items, with commas as text the most of those.
FULLEST = {
    "short": {"name": "x", "labels": {f"{n:x}": "1" for n in range(64)}},
    "of commas": {"name": "," * 200, "labels": {f"{n:x}": "," * 255 for n in range(64)}},
    "as shown": {},
}


@pytest.mark.parametrize("texts", FULLEST)
@pytest.mark.parametrize("form", [JSON, NDJSON, CSV])
def test_64_mb_of_workloads_are_taken_however_fully_they_are_written(form, texts):
    request = SizingRequestSchema()
    item = request.dump(request.load({**CHAT, **FULLEST[texts]}))
    before, text, between, after = _written(item, form)
    count = min(64 * MB // len(text + between), MOST_ITEMS)
    upload = io.BufferedReader(io.BytesIO(before + between.join([text] * count) + after))
    told = uploaded(upload, form, most_bytes=MB)
    # All of it was looked at before the first one is told.
    assert request.load(json.loads(next(told).asked)) == request.load(item)
    told.close()


def _written(item: dict[str, Any], form: str) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before items, an item, what stands between two of them, and after them."""
    if form != CSV:
        text = json.dumps(item, separators=(",", ":")).encode()
        return (b"[", text, b",", b"]") if form == JSON else (b"", text, b"\n", b"")
    cells = dict(_cells(item))
    heading, row = io.StringIO(), io.StringIO()
    csv.writer(heading, lineterminator="\n").writerow(cells)
    csv.writer(row, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(cells.values())
    return heading.getvalue().encode(), row.getvalue().encode(), b"", b""


def _cells(item: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from _cells(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)


def test_an_upload_is_wrong_before_its_first_item_is_told():
    with pytest.raises(MalformedBodyError):
        uploaded(io.BytesIO(b"[1, 2, tru"), JSON, most_bytes=100)
    with pytest.raises(InvalidRequestError, match="at most 2 workloads"):
        uploaded(io.BytesIO(b"1\n\n2\n3\n"), NDJSON, most_bytes=100, most_items=2)
    assert len(list(uploaded(io.BytesIO(b"name\n1\n\n2\n"), CSV, most_bytes=100, most_items=2))) == 2


def test_a_long_line_of_space_is_a_blank_one():
    space = b" " * 200_000
    assert cut(space, NDJSON) == []
    assert values(space + b"\n1\n" + space, NDJSON) == [(2, 1)]
    assert [item.wrong is None for item in cut(space + b"1\n2", NDJSON)] == [False, True]
