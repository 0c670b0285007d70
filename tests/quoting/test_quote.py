"""What a quote says of its option, and of nothing else."""

from service.quoting.quote import assumed_of
from service.sizing.result import Assumed
from tests.build import sizing_option


def test_what_the_sizing_assumed_of_other_options_is_not_said_of_this_one():
    """A sizing compares formats and lists each that some option has."""
    wide, narrow, engine = (
        Assumed(field=field, value=value, why="chosen")
        for field, value in (
            ("workload.weight_precision", "bf16"),
            ("workload.weight_precision", "fp8"),
            ("workload.engine", "vllm"),
        )
    )
    assumed = (wide, narrow, engine)
    assert assumed_of(sizing_option(weight_precision="fp8"), assumed) == (narrow, engine)
    assert assumed_of(sizing_option(weight_precision="bf16"), assumed) == (wide, engine)
    assert assumed_of(sizing_option(weight_precision=None), (engine,)) == (engine,)


def test_what_a_sizing_leaves_to_the_quote_is_not_told_as_unjudged_there():
    left = tuple(
        Assumed(field=f"constraints.{name}", value="not evaluated", why="the quote does")
        for name in ("deliver_by", "destination_country")
    )
    engine = Assumed(field="workload.engine", value="vllm", why="chosen")
    assert assumed_of(sizing_option(), (*left, engine)) == (engine,)
