"""The zoo: our own arithmetic against the counts that its gatherers derived, and against published totals."""

import pytest

from service.catalog.catalog import Catalog
from service.catalog.models import load_zoo
from service.sizing.architecture import count
from tests.catalog.conftest import CONFIG

ZOO = load_zoo(CONFIG / "models")

# Published totals that count what is no part of the language model, or name a rounded size: how far off they may be.
OTHER_PARTS = {
    "gemma-4-e2b": 0.10,  # vision and audio towers of about 0.47 B
    "gemma-4-e4b": 0.07,
    "nemotron-3.5-lightning-30b-a3b": 0.05,  # an MTP block of about 1.3 B
    "gemma-3-12b": 0.04,  # a vision tower of 0.42 B
}


@pytest.mark.parametrize("model", sorted(ZOO.models))
def test_counts_meet_the_derived_ones(model: str) -> None:
    counts, derived = count(ZOO.models[model].architecture), ZOO.parsed[model]["derived"]
    # The derived numbers carry five digits.
    for got, name in (
        (counts.total_params, "total_b"),
        (counts.active_params, "active_b"),
        (counts.matmul_params, "matmul_b"),
        (counts.mixer_params, "mixer_b"),
    ):
        assert got / 1e9 == pytest.approx(derived[name], rel=1e-4), name
    assert counts.kv_elements_per_token == derived["kv_elements_per_token"]
    assert counts.state_elements_per_sequence == derived["state_elements_per_sequence"]
    assert counts.conv_state_elements_per_sequence == derived["conv_state_elements_per_sequence"]
    windows = [{"window": w.window, "elements_per_token": w.elements_per_token} for w in counts.kv_windowed]
    assert windows == derived["kv_windowed"]


PUBLISHED = sorted(name for name, model in ZOO.models.items() if model.usable and model.published_params_b is not None)


@pytest.mark.parametrize("model", PUBLISHED)
def test_counts_meet_published_totals(model: str) -> None:
    zoo = ZOO.models[model]
    total = count(zoo.architecture).total_params / 1e9
    assert total == pytest.approx(zoo.published_params_b, rel=OTHER_PARTS.get(model, 0.03))


def test_the_zoo_is_whole(catalog: Catalog) -> None:
    assert len(catalog.models) == 123
    assert [name for name, model in catalog.models.items() if not model.usable] == ["llama-3.1-nemotron-ultra-253b"]
    assert catalog.aliases["deepseek-r1"] == "deepseek-v3"


def test_a_fact_of_a_model_that_differs_from_its_file_says_so(catalog: Catalog) -> None:
    facts = {fact.field: fact for fact in catalog.sheets["models"]["gemma-2-9b"].facts}
    assert facts["tie_embeddings"].basis == "recalled"
    assert facts["hidden"].basis == "seen"
    assert facts["hidden"].sources == ("models/gemma-2-9b",)
    unpublished = {fact.field: fact for fact in catalog.sheets["models"]["kimi-k3"].facts}
    assert (unpublished["total_params_b"].value, unpublished["total_params_b"].basis) == (None, "unknown")


@pytest.mark.parametrize(
    ("model", "formats"),
    [
        ("llama-3.1-70b", ("fp8",)),
        ("deepseek-v3", ("fp4",)),
        # Its experts alone are in FP4.
        ("deepseek-v4-pro", ("fp4",)),
        # 4-bit weights beside 16-bit activations save memory and multiply nothing in 4 bit.
        ("qwen3.6-27b", ("fp8",)),
        ("llama-3.1-405b", ()),
    ],
)
def test_formats_of_published_checkpoints_are_known(model: str, formats: tuple[str, ...]) -> None:
    assert ZOO.models[model].architecture.published_precisions == formats
