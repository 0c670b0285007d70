"""The identity of a question: what is nothing to it, and what is not."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schemas.digest import canonical_json, question_digest
from service.schemas.workload import QUESTION, SizingRequestSchema
from tests.schemas.requests import ALL, CHAT, FOLDING, SMALL_CHAT, changed

REQUEST = SizingRequestSchema()
VERSIONS = {"catalog_version": "c1", "calibration_version": "k1", "engine_version": "e1"}


def digest(body, **versions):
    return question_digest(REQUEST.load(body).question, **{**VERSIONS, **versions})


def shuffled(value):
    if isinstance(value, dict):
        keys = list(value)
        random.Random(7).shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}
    return value


@pytest.mark.parametrize("name", ALL)
def test_order_spacing_name_labels_and_spelled_out_defaults_are_nothing(name):
    body = ALL[name]
    request = REQUEST.load(body)
    same = [
        json.loads(json.dumps(body, indent=4)),
        shuffled(body),
        {**body, "name": "another name", "labels": {"other": "label"}},
        QUESTION.dump(request.question),
        {**body, "constraints": REQUEST.dump(request)["constraints"]},
    ]
    assert {digest(other) for other in same} == {digest(body)}


@pytest.mark.parametrize("number", ["1000", "1000.0", "1e3", "1.0E+3", "0.1e4"])
def test_the_form_of_a_number_is_nothing(number):
    text = json.dumps(SMALL_CHAT).replace('"isl_tokens": 1000', f'"isl_tokens": {number}')
    assert digest(json.loads(text)) == digest(SMALL_CHAT)


@pytest.mark.parametrize(
    ("body", "path", "length"), [(SMALL_CHAT, "workload.isl_tokens", 1000), (FOLDING, "workload.tokens", 900)]
)
def test_the_form_of_a_length_is_nothing(body, path, length):
    forms = [
        length,
        float(length),
        {"mean": length},
        {"mean": length, "p95": None},
        {"mean": length, "p95": length},
        {"p95": float(length), "mean": length},
    ]
    assert len({digest(changed(body, path, form)) for form in forms}) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("workload.isl_tokens", 1001),
        ("workload.isl_tokens", {"mean": 1000, "p95": 1001}),
        ("workload.model", "llama-3.1-70b"),
        ("workload.demand", {"requests_s": 16}),
        ("workload.availability", "n+1"),
        ("constraints", {"cooling": "air"}),
    ],
)
def test_another_question_has_another_digest(path, value):
    assert digest(changed(SMALL_CHAT, path, value)) != digest(SMALL_CHAT)


@pytest.mark.parametrize("version", [*VERSIONS, "price_book_digest"])
def test_another_version_makes_another_digest(version):
    assert digest(CHAT, **{version: "other"}) != digest(CHAT)


def test_a_digest_looks_like_one():
    assert digest(CHAT).startswith("sha256:")
    assert len(digest(CHAT)) == len("sha256:") + 64


def test_canonical_json_is_sorted_dense_and_utf8():
    assert canonical_json({"b": 1.0, "a": [True, None, "ü", 0.1]}) == '{"a":[true,null,"ü",0.1],"b":1}'.encode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_canonical_json_is_a_fixed_point(value):
    once = canonical_json(value)
    assert canonical_json(json.loads(once)) == once


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value == int(value)))
def test_a_whole_float_is_its_integer(value):
    assert canonical_json(value) == canonical_json(int(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_has_no_canonical_form(value):
    with pytest.raises(ValueError, match="canonical"):
        canonical_json([value])
