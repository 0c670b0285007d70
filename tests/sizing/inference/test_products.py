"""The matrix products of a forward pass against the parameters that the architecture counts."""

import numpy as np
import pytest

from service.sizing.architecture import count
from service.sizing.inference.load import touched_fraction
from service.sizing.inference.products import Cut, Part, Phase, products_of
from tests.facts import own_catalog

CATALOG = own_catalog()
SIZED = sorted(name for name, model in CATALOG.models.items() if model.usable)


def weights(model: str, *, phase: Phase) -> float:
    found = products_of(CATALOG.models[model].architecture)
    return sum(p.layers * p.columns * p.inner for p in found if p.phase in (None, phase))


@pytest.mark.parametrize("model", SIZED)
def test_products_multiply_what_a_token_is_multiplied_with(model: str) -> None:
    """All matrix parameters but those of routed experts, within what biases, convolutions and low-rank gates are."""
    counts = count(CATALOG.models[model].architecture)
    without_experts = counts.matmul_params - counts.active_routed_expert_params
    assert weights(model, phase=Phase.PREFILL) == pytest.approx(without_experts, rel=0.04)


def test_a_latent_is_unfolded_in_prefill_and_absorbed_in_decode() -> None:
    architecture = CATALOG.models["deepseek-v3"].architecture
    apart = {phase: [p for p in products_of(architecture) if p.phase is phase] for phase in Phase}
    assert {(p.columns, p.inner) for p in apart[Phase.PREFILL]} == {(128 * 256.0, 512.0)}
    assert {(p.columns, p.inner) for p in apart[Phase.DECODE]} == {(128 * 512.0, 128.0), (128 * 128.0, 512.0)}
    assert weights("deepseek-v3", phase=Phase.DECODE) == weights("deepseek-v3", phase=Phase.PREFILL)


def test_a_dense_layer_is_cut_once_by_columns_and_once_by_rows() -> None:
    found = products_of(CATALOG.models["llama-3.1-70b"].architecture)
    shapes = {(p.part, p.cut, p.columns, p.inner, p.layers) for p in found}
    assert shapes == {
        (Part.MIXER, Cut.COLUMNS, 8192.0 + 2 * 1024, 8192.0, 80),
        (Part.MIXER, Cut.ROWS, 8192.0, 8192.0, 80),
        (Part.FFN, Cut.COLUMNS, 2 * 28672.0, 8192.0, 80),
        (Part.FFN, Cut.ROWS, 8192.0, 28672.0, 80),
        (Part.HEAD, Cut.COLUMNS, 128256.0, 8192.0, 1),
    }


def test_experts_are_touched_as_unequally_as_they_are_liked() -> None:
    draws = np.array([0.0, 0.01, 1.5, 4.0, 1000.0])
    found = touched_fraction(draws)
    assert found.tolist() == [pytest.approx(value, rel=0.03) for value in (0.0, 0.01, 0.5, 2.0 / 3.0, 1.0)]
    # Never more than if all were liked equally.
    assert np.all(found <= 1.0 - np.exp(-draws) + 1e-12)
