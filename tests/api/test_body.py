"""Hostile bodies: a clear refusal, quickly, and the process goes on."""

import json
import time
import tracemalloc
from io import RawIOBase

import pytest

from service.schemas import json_text
from service.schemas.json_text import MalformedBodyError, parse_json
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT, changed

VALID = json.dumps(SMALL_CHAT).encode()


def in_name(text: str) -> bytes:
    return VALID.replace(b"{", b'{"name": "' + text.encode() + b'", ', 1)


HOSTILE = {
    "300,000 lists": b"[" + b"[]," * 300_000 + b"1]",
    "100,001 objects": b"[" + b"{}," * 100_000 + b"1]",
    "empty": b"",
    "not json": b"hello",
    "truncated": VALID[:-5],
    "trailing": VALID + b"x",
    "two documents": VALID + VALID,
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "unclosed deep lists": b"[" * 900_000,
    "somewhat deep": b"[" * 100 + b"]" * 100,
    "duplicate key": VALID.replace(b'"model"', b'"model": "a", "model"'),
    "duplicate escaped key": VALID.replace(b'"model"', b'"mod\\u0065l": "a", "model"'),
    "NaN": VALID.replace(b"1000", b"NaN"),
    "Infinity": VALID.replace(b"1000", b"Infinity"),
    "-Infinity": VALID.replace(b"1000", b"-Infinity"),
    "1e999": VALID.replace(b"1000", b"1e999"),
    "ten thousand digits": VALID.replace(b"1000", b"1" * 10_000),
    "leading zero": VALID.replace(b"1000", b"01000"),
    "lone surrogate": in_name("half \\ud800 pair"),
    "lone surrogate key": VALID.replace(b"{", b'{"\\udfff": 1, ', 1),
    "NUL": in_name("nul \\u0000"),
    "raw control character": in_name("bell \x07"),
    "latin-1": b'{"name": "\xe4"}',
    "overlong utf-8": b'{"name": "\xc0\xaf"}',
    "utf-16": VALID.decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + VALID,
    "hundred thousand keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
    "python": b"{'workload': None}",
    "comment": b"/* hi */" + VALID,
}


PLAIN = {
    "a request": VALID,
    "spaces": b' { "a" :\t[ 1 , 2.5 ]\r\n, "" : "" } ',
    "numbers": b"[0, -0, -0.0, 1.0, 1E5, 1e-7, 0.1, 2.5e-308, 99999999999999999, 1e22, 5e-324]",
    "long numbers": b"[18446744073709551616, 12345678901234567890123, 0.1234567890123456789012, -9223372036854775809]",
    "escapes": b'{"a\\"b": "\\u00e9\\n\\\\", "c": "\\ud83d\\ude00"}',
    "not ASCII": '{"ä": "日本\x7f\u2028"}'.encode(),
    "constants": b"[null, true, false]",
    "nothing": b"null",
}


@pytest.mark.parametrize("name", PLAIN)
def test_both_ways_read_the_same_value(name):
    read, long = parse_json(PLAIN[name]), json_text._DECODER.decode(PLAIN[name].decode())
    assert repr(read) == repr(long)


@pytest.mark.parametrize(
    "twice",
    [
        b'{"a": 1, "a": 2}',
        b'{"x": [{"": "", "": ""}]}',
        b'{"a": "1", "b": {"c": 1, "c": "\'"}}',
        b'{"a": {"a": 1}, "a": 1}',
    ],
)
def test_a_key_that_stands_twice_is_seen_at_any_depth(twice):
    with pytest.raises(MalformedBodyError, match="twice"):
        parse_json(twice)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malformed_body_is_400_at_once(name, acme: Speaker):
    started = time.process_time()
    answer = acme.post("/v1/workloads", data=HOSTILE[name])
    assert answer.status_code == 400, answer.text
    assert answer.json["type"] == "/problems/malformed-body"
    assert len(answer.data) < 2000
    assert time.process_time() - started < 1


WRONG = {
    "a string": b'"workload"',
    "a list": b"[]",
    "null": b"null",
    "a number": b"1e3",
    "thousands of list items": json.dumps(changed(SMALL_CHAT, "constraints.allowed_servers", ["x"] * 100_000)).encode(),
    "thousands of unknown fields": json.dumps({**SMALL_CHAT, **{f"k{n}": n for n in range(9_000)}}).encode(),
    "a number of 300 digits": VALID.replace(b"1000", b"1" * 300),
    "a long name": in_name("n" * 900_000),
    "a deep architecture": VALID.replace(b'"llama-3.1-8b"', b'{"a":' * 50 + b"1" + b"}" * 50),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_body_of_the_wrong_shape_is_422_at_once(name, acme: Speaker):
    started = time.process_time()
    answer = acme.post("/v1/workloads", data=WRONG[name])
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"]
    assert len(answer.data) < 20_000
    assert time.process_time() - started < 1


def test_ten_megabytes_are_refused_unread(acme: Speaker):
    started = time.process_time()
    answer = acme.post("/v1/workloads", data=b" " * 10_000_000)
    assert answer.status_code == 413
    assert answer.json["type"] == "/problems/body-too-large"
    assert "1000000 bytes" in answer.json["detail"]
    assert time.process_time() - started < 1


class Endless(RawIOBase):
    """A body without a length that never ends."""

    served = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, *_: int) -> int:
        return 0

    def tell(self) -> int:
        return 0

    def readinto(self, buffer) -> int:
        self.served += len(buffer)
        assert self.served < 5_000_000, "an endless body was read on and on"
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def test_a_chunked_body_without_end_is_cut_off(acme: Speaker):
    answer = acme.client.post(
        "/v1/workloads",
        input_stream=Endless(),
        headers={"Authorization": f"Bearer {acme.token}", "Transfer-Encoding": "chunked"},
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml", "application/jsonx"]
)
def test_another_media_type_is_415(content_type, acme: Speaker):
    answer = acme.post("/v1/workloads", data=VALID, content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json["detail"]


def test_a_compressed_body_is_415(acme: Speaker):
    assert acme.post("/v1/workloads", data=VALID, Content_Encoding="gzip").status_code == 415


def test_another_charset_is_400(acme: Speaker):
    answer = acme.post("/v1/workloads", data=VALID, content_type="application/json; charset=latin-1")
    assert answer.status_code == 400


def test_utf8_said_aloud_is_fine(acme: Speaker):
    answer = acme.post("/v1/workloads", data=VALID, content_type="application/json; charset=UTF-8")
    assert answer.status_code == 202


def test_a_refusal_tells_which_key_stands_twice():
    with pytest.raises(MalformedBodyError, match='"users"'):
        parse_json(b'{"demand": {"users": 1, "users": 2}}')


def test_a_body_of_as_many_lists_as_there_may_be_takes_little_memory():
    tracemalloc.start()
    try:
        assert len(parse_json(b"[" + b"[]," * 99_999 + b"1]")) == 100_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 30_000_000
