"""What is compressed once and sent behind another beginning each time is read by whoever reads gzip."""

import gzip
import random
import subprocess
import zlib

import pytest

from service.packed import Packed

NOISE = random.Random(7).randbytes(70_000)


@pytest.mark.parametrize("text", [b"", b"}", b'{"a":1}' * 30_000, NOISE], ids=["nothing", "short", "long", "noise"])
@pytest.mark.parametrize(
    "beginning", [b"", b"{", NOISE[:900], NOISE[:0xFFFF], NOISE], ids=["nothing", "short", "usual", "a block", "two"]
)
def test_beginning_and_text_come_out_as_they_were(beginning, text):
    # The checksum and the length at the end are held against what came out.
    assert gzip.decompress(b"".join(Packed(text).behind(beginning))) == beginning + text


def test_one_text_goes_behind_many_beginnings():
    packed = Packed(b"the same" * 1000)
    for number in range(200):
        beginning = f"run {number} ".encode()
        assert gzip.decompress(b"".join(packed.behind(beginning))) == beginning + b"the same" * 1000


def test_a_reader_in_pieces_and_another_program_read_it():
    sent = b"".join(Packed(b"abc" * 9999).behind(b"first "))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    read = b"".join(reader.decompress(sent[start : start + 100]) for start in range(0, len(sent), 100))
    assert (read, reader.eof, reader.unused_data) == (b"first " + b"abc" * 9999, True, b"")
    assert subprocess.run(["gzip", "-dc"], input=sent, capture_output=True, check=True).stdout == read


def test_it_takes_less_and_says_how_much():
    packed = Packed(b'{"a":1}' * 30_000)
    assert len(b"".join(packed.behind(b""))) < 2_000 < packed.size_bytes < 12_000
