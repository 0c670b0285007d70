"""What has no name is called by what it is about, and a country by any of its names."""

import json

import pytest

from service.web.form.countries import country_code, near_countries
from service.web.titles import title


@pytest.mark.parametrize(
    ("workload", "called"),
    [
        (
            {"kind": "inference", "model": "llama-3.1-8b", "demand": {"requests_s": 60}},
            "llama-3.1-8b, 60\u00a0requests/s",
        ),
        (
            {"kind": "inference", "model": "llama-3.1-8b", "demand": {"peak_factor": 3, "users": 500}},
            "llama-3.1-8b, 500 users",
        ),
        ({"kind": "inference", "model": "llama-3.1-8b", "demand": {"saturate_gpus": 8}}, "llama-3.1-8b, 8 GPUs full"),
        ({"kind": "training", "model": {"layers": 2}, "tokens": 2e12}, "a model of your own, 2\u00a0trillion tokens"),
        ({"kind": "science", "application": "boltz-2", "targets_day": 3}, "boltz-2"),
    ],
)
def test_a_sizing_without_a_name_is_called_by_its_question(workload, called):
    question = json.dumps({"workload": workload}).encode()
    assert title(None, question) == called
    assert title("nightly", question) == "nightly"


@pytest.mark.parametrize("text", ["Germany", "de", "Deutschland", "allemagne", " DUITSLAND ", "ドイツ"])
def test_a_country_is_known_by_its_names(text):
    assert country_code(text) == "DE"


def test_a_name_of_two_countries_is_nobodys_and_what_was_meant_is_suggested():
    assert country_code("Kongo") == "Kongo"
    assert set(near_countries("Kongo")) >= {"Congo - Kinshasa", "Congo - Brazzaville"}
    assert near_countries("Deutschlnd")[0] == near_countries("Germny")[0] == "Germany"
    assert near_countries("xx") == ()
