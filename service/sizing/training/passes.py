"""How often a step goes over the layers: forward, both gradients, references, and what recompute adds."""

import numpy as np

from service.sizing.table import FloatArray
from service.sizing.training.layouts import Layouts
from service.sizing.training.recipe import Recipe

# Forward, gradient of the inputs, gradient of the weights.
FULL_PASSES = 3.0


def layer_passes(layouts: Layouts, recipe: Recipe) -> FloatArray:
    """Passes over the layers of one micro-batch, recompute included."""
    again = layouts.made_again * recipe.recompute_passes
    return np.asarray(recipe.passes + recipe.reference_passes + again, dtype=np.float64)


def flow_passes(layouts: Layouts, recipe: Recipe) -> FloatArray:
    """Passes of all but matrix products: where weights are frozen gradients still flow through everything else."""
    return np.asarray(layer_passes(layouts, recipe) + np.where(recipe.is_adapter, 1.0, 0.0), dtype=np.float64)
