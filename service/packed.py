"""Packed: a long text that is compressed once, and sent by gzip behind another beginning each time.

A stream of gzip may begin with blocks that are not compressed, so the beginning costs a copy. What stands at its end is
the checksum of the whole: that of the two parts together follows from both, without a look at the long one.
"""

import struct
import zlib

_MEDIUM = 6
# RFC 1952: gzip, deflate, no flags, no time, no system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# RFC 1951: a block that is not the last one and not compressed, its length, and the complement of that.
_STORED = struct.Struct("<BHH")
_LONGEST_STORED = 0xFFFF
_END = struct.Struct("<II")
# The polynomial of RFC 1952, lowest power first.
_POLYNOMIAL = 0xEDB88320
_BITS = 32
# A hundred numbers and their tuples, beside the text.
_BOOKS_BYTES = 6_000


class Packed:
    """The compressed text, and what is to be known of the text itself."""

    __slots__ = ("_carried", "_checksum", "_deflated", "_length")

    def __init__(self, text: bytes) -> None:
        compressor = zlib.compressobj(_MEDIUM, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._deflated = compressor.compress(text) + compressor.flush()
        self._checksum = zlib.crc32(text)
        self._length = len(text)
        # What each half of a byte of a beginning's checksum comes to behind so many bytes.
        self._carried = _by_halves(_carried_over(len(text)))

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self._deflated) + _BOOKS_BYTES

    def behind(self, beginning: bytes) -> tuple[bytes, ...]:
        """The beginning and the text by gzip, in pieces."""
        checksum, rest = self._checksum, zlib.crc32(beginning)
        for column in self._carried:
            checksum ^= column[rest & 15]
            rest >>= 4
        end = _END.pack(checksum, (len(beginning) + self._length) & 0xFFFFFFFF)
        return _HEADER, *_stored(beginning), self._deflated, end


def _stored(text: bytes) -> list[bytes]:
    pieces = []
    for start in range(0, len(text), _LONGEST_STORED):
        piece = text[start : start + _LONGEST_STORED]
        pieces += [_STORED.pack(0, len(piece), len(piece) ^ _LONGEST_STORED), piece]
    return pieces


def _carried_over(count: int) -> tuple[int, ...]:
    """What each bit of a checksum comes to once so many bytes of zeros have followed: a matrix over GF(2)."""
    # One zero bit: the lowest power leaves and comes back as the polynomial, every other one moves down.
    step = (_POLYNOMIAL, *(1 << bit for bit in range(_BITS - 1)))
    carried = tuple(1 << bit for bit in range(_BITS))
    bits = 8 * count
    while bits:
        if bits & 1:
            carried = tuple(_product(step, column) for column in carried)
        step = tuple(_product(step, column) for column in step)
        bits >>= 1
    return carried


def _by_halves(matrix: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """What each value of four bits comes to, for each four bits of a vector: an eighth of the steps."""
    return tuple(
        tuple(_product(matrix[start : start + 4], value) for value in range(16)) for start in range(0, _BITS, 4)
    )


def _product(matrix: tuple[int, ...], vector: int) -> int:
    total = 0
    for column in matrix:
        if vector & 1:
            total ^= column
        vector >>= 1
    return total
