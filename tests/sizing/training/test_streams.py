"""Models with hyper-connections keep, move and hand on a residual stream of several widths."""

from dataclasses import replace

import pytest

from service.sizing.architecture import MixerKind
from service.sizing.training.shape import shape_of
from service.sizing.training.streams import stream_moved_bytes_token, stream_stored_bytes_token, streams
from tests.facts import own_catalog
from tests.sizing.training.jobs import job, layouts
from tests.sizing.training.test_step import step

CATALOG = own_catalog()
WIDE = CATALOG.models["deepseek-v4-flash"].architecture
PLAIN = CATALOG.models["deepseek-v3"].architecture


def test_only_models_with_hyper_connections_have_several_streams() -> None:
    many = {name for name, model in CATALOG.models.items() if streams(model.architecture) > 1}
    assert many
    assert all(any(mixer.kind is MixerKind.DSV4 for mixer in CATALOG.models[name].architecture.mixers) for name in many)
    shape = shape_of(PLAIN, 4096.0)
    assert (shape.stream_elements, shape.stream_bytes_token) == (shape.hidden, 0.0)


def test_a_connection_moves_eighteen_widths_forward_less_those_of_a_plain_one() -> None:
    """As fused modules of DeepSeek-V4 were measured: 50 ns a token and site at 4,096 on an H100, at its bandwidth."""
    sites = 2 * WIDE.layers
    forward = stream_moved_bytes_token(WIDE) / 3.0 / sites / (2.0 * WIDE.hidden) + 3.0
    assert forward == pytest.approx(18.0)
    measured_s, bandwidth = 50.3e-9, 3.35e12
    assert forward * 2.0 * WIDE.hidden == pytest.approx(measured_s * bandwidth, rel=0.2)


def test_further_streams_are_kept_moved_and_handed_on() -> None:
    own = job(CATALOG, model="deepseek-v4-flash")
    bare = replace(
        own,
        shape=replace(
            own.shape,
            stream_elements=own.shape.hidden,
            stream_bytes_token=0.0,
            stored_bytes_token=own.shape.stored_bytes_token - stream_stored_bytes_token(WIDE),
        ),
    )
    for recompute in (0, 1, 2):
        at = layouts(dp=8, recompute=recompute)
        assert own.memory(at).activations > bare.memory(at).activations
    split = layouts(pp=2, vpp=1, dp=8)
    assert step(CATALOG, own, split).traffic > step(CATALOG, bare, split).traffic
    assert step(CATALOG, own, split).pipeline > step(CATALOG, bare, split).pipeline
