"""What an option promises, and how sure all of it is."""

from service.sizing.inference.predict import Promises, confidences_of
from service.sizing.interval import Spread, confidence_below

SPREAD = Spread(shift=0.0, down=0.2, up=0.3)


def test_an_option_is_as_sure_as_the_least_sure_of_its_promises_whatever_stands_beside_it() -> None:
    late, early, slow = (1.0, 1.1, SPREAD), (1.0, 0.7, SPREAD), (1.0, 1.2, SPREAD)
    each = [
        Promises(tails=[early, late], rates=[slow]),
        Promises(tails=[], rates=[]),
        Promises(tails=[], rates=[slow]),
        Promises(tails=[early], rates=[]),
    ]
    sure = {bound: float(confidence_below(*bound)) for bound in (late, early, slow)}
    assert confidences_of(each) == [min(sure[late], 1.0 - sure[slow]), 1.0, 1.0 - sure[slow], sure[early]]
    assert confidences_of([]) == []
