"""What a question comes to is looked through once, and remembered as long as it is short and there is room."""

from service.planning.drafting import drafted
from service.schemas.workload import LONGEST_WORDS_BYTES, MEMO_BYTES, SizingRequestSchema, memory_of
from tests.schemas.requests import layered

REQUEST = SizingRequestSchema()


def test_drafts_are_remembered_up_to_so_many_bytes(runtime, caller):
    def draft(hidden: int):
        return drafted(runtime, caller, REQUEST.load(layered(20, hidden=hidden)), request_id="req")

    first = draft(512)
    assert len(first.question) <= LONGEST_WORDS_BYTES
    assert draft(512).resolved is first.resolved
    for hidden in range(1000, 1000 + MEMO_BYTES // memory_of(len(first.question)) + 1):
        draft(hidden)
    assert draft(512).resolved is not first.resolved


def test_a_question_that_becomes_long_is_not_remembered_however_short_its_words(runtime, caller):
    request = REQUEST.load(layered(80))
    assert request.spelling is not None
    first, again = (drafted(runtime, caller, request, request_id="req") for _ in range(2))
    assert len(first.question) > LONGEST_WORDS_BYTES
    assert again.resolved is not first.resolved
    assert again.digest == first.digest
