"""Questions that are remembered in the words in which they were valid: which, how many, and what is read anew."""

import tracemalloc
from typing import Any

import orjson
import pytest
from marshmallow import ValidationError

from service.schemas.workload import LONGEST_WORDS_BYTES, MEMO_BYTES, QUESTION, SizingRequestSchema, memory_of
from tests.schemas.requests import ALL, CHAT, SMALL_CHAT, changed, layered

REQUEST = SizingRequestSchema()


def test_nan_is_refused_however_often_null_was_valid_in_its_place():
    REQUEST.load(changed(CHAT, "constraints.max_racks", None))
    with pytest.raises(ValidationError) as refused:
        REQUEST.load(changed(CHAT, "constraints.max_racks", float("nan")))
    assert set(refused.value.messages["constraints"]) == {"max_racks"}


def test_what_was_valid_once_in_these_words_is_not_validated_anew_and_what_stands_around_it_is():
    schema = SizingRequestSchema()
    first, again = schema.load({**CHAT, "name": "one"}), schema.load({**CHAT, "name": "two", "labels": {"a": "b"}})
    assert again.question is first.question
    assert (again.name, dict(again.labels), again.spelling) == ("two", {"a": "b"}, first.spelling)
    for wrong, field in (({"name": ""}, "name"), ({"labels": {"a": 1}}, "labels"), ({"nmae": "x"}, "nmae")):
        with pytest.raises(ValidationError) as refused:
            schema.load({**CHAT, **wrong})
        assert set(refused.value.messages) == {field}
    assert "Did you mean name?" in str(refused.value.messages)


def test_other_words_are_validated_even_where_they_sound_alike():
    schema = SizingRequestSchema()
    schema.load(SMALL_CHAT)
    for bent in (True, "16", None, float("nan"), 10**400):
        with pytest.raises(ValidationError):
            schema.load(changed(SMALL_CHAT, "workload.demand", {"concurrency": bent}))


def test_a_part_that_is_null_is_not_a_part_that_is_absent():
    """However often the same question was asked without it."""
    schema = SizingRequestSchema()
    body = {name: part for name, part in SMALL_CHAT.items() if name != "constraints"}
    schema.load(body)
    with pytest.raises(ValidationError, match="null"):
        schema.load(body | {"constraints": None})


def words_of(body: dict[str, Any]) -> int:
    return len(orjson.dumps(body))


def test_questions_are_remembered_up_to_so_many_bytes():
    long = layered(80)
    assert words_of(long) <= LONGEST_WORDS_BYTES
    first = REQUEST.load(long).question
    assert REQUEST.load(long).question is first
    for hidden in range(1000, 1000 + MEMO_BYTES // memory_of(words_of(long)) + 1):
        REQUEST.load(layered(80, hidden=hidden))
    assert REQUEST.load(long).question is not first


def test_long_words_are_not_remembered_at_all():
    longer = layered(120)
    assert words_of(longer) > LONGEST_WORDS_BYTES
    first, again = REQUEST.load(longer), REQUEST.load(longer)
    assert again == first
    assert again.question is not first.question
    assert (first.spelling, again.spelling) == (None, None)


@pytest.mark.parametrize("body", [*ALL.values(), layered(20), layered(80)], ids=[*ALL, "layered", "long"])
def test_a_question_takes_no_more_memory_than_is_counted(body):
    question = {part: body[part] for part in ("workload", "constraints") if part in body}
    REQUEST.load(body)  # what is made once for all questions is there
    tracemalloc.start()
    try:
        # Parsed anew each time, as bodies are: their strings are not shared.
        kept = [QUESTION.load(orjson.loads(orjson.dumps(question))) for _ in range(20)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken / len(kept) <= memory_of(words_of(body))
