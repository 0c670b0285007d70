import pytest

from service.schemas.science import APPLICATION_TEMPLATES
from service.web.form import inference, schedule, science, training
from service.web.form.doubt import unclear
from service.web.form.typed_number import either, ends, exact, fraction, number, unmistakable


@pytest.mark.parametrize(
    ("typed", "value"),
    [("1,000", 1000), ("1 000", 1000), ("2.5k", 2500), ("30 %", 0.3), ("1e9", 1e9), ("2B", 2e9), ("7 %", 0.07),
     (".5", 0.5), ("many", "many"), ("1,0,x", "1,0,x"), ("", ""), ("\u0661", "\u0661"), ("-3", -3), ("%", "%"),
     ("1,000,000.5", 1000000.5), ("2,5", 2.5), ("12,5 %", 0.125), ("0,923", 0.923), ("1.234,56", 1234.56),
     ("1\u00a0234,5", 1234.5), ("2,5k", 2500), ("1,2,3", "1,2,3"), ("1e999", "1e999"),
     ("1,00,000", "1,00,000"), ("1.2.3", "1.2.3")],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(typed, value):
    assert number(typed) == value


@pytest.mark.parametrize(
    ("typed", "value"),
    [("12.5 %", "0.125"), ("12,5 %", "0.125"), ("0,92", "0.92"), ("0,9234", "0.9234"), ("0,923", "0.923"),
     ("1500,50", "1500.50"), ("1,500.50", "1500.50"), ("1.500,50", "1500.50"), ("12,500,000", "12500000"),
     ("1,085", "1,085"), ("1.0850", "1.085"), ("1.250000", "1.250"),
     ("free", "free"), ("1e99999999999", "1e99999999999")],
)  # fmt: skip
def test_exact_numbers_are_read_without_a_float(typed, value):
    assert exact(typed) == value


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("1,085", ("1085", "1.0850")), ("0,085", None), ("1,0850", None), ("1,085,000", None),
     ("1.250", ("1250", "1.25")), ("5.000", ("5000", "5")), ("1.085", ("1085", "1.0850")), ("0.085", None),
     ("1.25", None), ("1.250,00", None), ("1,250.00", None), ("1250", None), ("1250.125", None)],
)  # fmt: skip
def test_what_may_be_either_of_two_numbers_is_known(typed, meant):
    assert either(typed) == meant
    assert all(either(one) is None for one in meant or ()), "asked again about the answer"


@pytest.mark.parametrize("text", ["1.085", "1.250", "5.000", "12.5", "many", ""])
def test_a_number_that_is_shown_again_is_not_asked_about(text):
    assert either(unmistakable(text)) is None
    assert number(unmistakable(text)) == number(text)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("0.15", "15 %"), ("0,15", "15 %"), (".5", "50 %"), ("0.15 %", None), ("1", None), ("15", None), ("0", None),
     ("free", None), ("-0.1", None), ("0.0", None)],
)  # fmt: skip
def test_what_is_typed_in_percent_may_be_meant_as_a_fraction(typed, meant):
    assert fraction(typed) == meant


@pytest.mark.parametrize(
    ("typed", "pair"),
    [("0.1 to 0.3", ("0.1", "0.3")), ("10-30 %", ("10", "30 %")), ("10 % \u2013 30 %", ("10 %", "30 %")),
     ("1..2", ("1", "2")), ("1 ; 2", ("1", "2")), ("5", None), ("1 to 2 to 3", None), ("to 3", None),
     ("-1 to 3", ("-1", "3"))],
)  # fmt: skip
def test_the_two_ends_of_a_range_are_read(typed, pair):
    assert ends(typed) == pair


def test_no_form_opens_with_a_number_that_may_be_another():
    forms = [(inference.FORM, inference.INITIAL), (training.FORM, training.INITIAL), (schedule.FORM, schedule.INITIAL)]
    forms += [(science.form_of(name, name), science.initial(name)) for name in APPLICATION_TEMPLATES]
    assert not [doubt for form, initial in forms for doubt in unclear(form, initial)]
