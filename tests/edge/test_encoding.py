"""Who is sent gzip: those who say that they take it, in whatever words."""

import pytest

from service.edge.encoding import takes_gzip


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("*", True),
        ("*;q=0, gzip", True),
        ("", False),
        ("identity", False),
        ("x-gzip", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("br", False),
        ("gzip," * 100, False),
    ],
)
def test_what_the_header_says_is_obeyed(header, takes):
    assert takes_gzip(header) is takes
