"""Sums over the matrix products of a model's layers: all that a step needs to know of them, however many there are."""

from dataclasses import dataclass

from service.sizing.architecture import Ffn, FfnKind, ModelArchitecture
from service.sizing.inference.products import Cut, Part, Phase, Product, products_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProducts:
    """How many products a token passes, and the widths [elements] that it enters and leaves them with.

    `whole` stays on every tensor-parallel rank, `cut` is divided among them. Depth is the inner dimension, summed.
    """

    products: float
    whole_elements: float
    cut_elements: float
    whole_depth_elements: float
    cut_depth_elements: float


def layer_products(architecture: ModelArchitecture) -> LayerProducts:
    """The products of all layers but those of routed experts and the head."""
    found = [p for p in products_of(architecture) if p.part is not Part.HEAD and p.phase is not Phase.DECODE]
    return LayerProducts(
        products=float(sum(p.layers for p in found)),
        whole_elements=sum(p.layers * _whole_width(p) for p in found),
        cut_elements=sum(p.layers * (p.inner + p.columns - _whole_width(p)) for p in found),
        whole_depth_elements=sum(p.layers * p.inner for p in found if p.cut is not Cut.ROWS),
        cut_depth_elements=sum(p.layers * p.inner for p in found if p.cut is Cut.ROWS),
    )


def _whole_width(product: Product) -> float:
    """Inputs of a product that is cut by columns, outputs of one that is cut by rows, both of one that is not cut."""
    if product.cut is Cut.COLUMNS:
        return product.inner
    return product.columns if product.cut is Cut.ROWS else product.inner + product.columns


def expert_elements_token(architecture: ModelArchitecture) -> float:
    """Elements that one token brings into and out of the products of its routed experts, all layers together."""
    return sum(f.count * f.top_k * _expert_width(f, architecture.hidden) for f in architecture.ffns if _routes(f))


def _routes(ffn: Ffn) -> bool:
    return ffn.kind is FfnKind.MOE


def _expert_width(ffn: Ffn, hidden: int) -> float:
    projections = 2.0 if ffn.gated else 1.0
    return 2.0 * float(ffn.latent or hidden) + (projections + 1.0) * ffn.intermediate
