"""Text that callers send: what cannot be shown on a line, or shows as another text, is refused."""

import pytest
from marshmallow import ValidationError

from service.schemas.strict import clean_text


@pytest.mark.parametrize("mark", ["\u202e", "\u202a", "\u2066", "\u2069"])
def test_a_text_that_turns_what_follows_around_is_refused(mark):
    with pytest.raises(ValidationError, match="turn the text"):
        clean_text(f"a{mark}b", shortest=1, longest=9)
    assert clean_text("\u05d0\u05d1 \u200f abc", shortest=1, longest=9)
