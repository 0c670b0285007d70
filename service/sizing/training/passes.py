"""How often a step goes over the layers: forward, both gradients, references, and what recompute adds."""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray
from service.sizing.training.layouts import Layouts
from service.sizing.training.recipe import Recipe

# Forward, gradient of the inputs, gradient of the weights.
FULL_PASSES = 3.0


def layer_passes(layouts: Layouts, recipe: Recipe, *, forward_factor: Numeric = 1.0) -> FloatArray:
    """Passes over the layers of one micro-batch, recompute included; a forward one counts as that much of the mean.

    What a whole training takes stays three: what a forward pass is shorter, both gradients are longer.
    """
    backward = (FULL_PASSES - forward_factor) / (FULL_PASSES - 1.0)
    forwards = 1.0 + recipe.reference_passes + layouts.made_again * recipe.recompute_passes
    return np.asarray(forwards * forward_factor + (recipe.passes - 1.0) * backward, dtype=np.float64)


def flow_passes(layouts: Layouts, recipe: Recipe, *, forward_factor: Numeric = 1.0) -> FloatArray:
    """Passes of all but matrix products: where weights are frozen gradients still flow through everything else."""
    backward = (FULL_PASSES - forward_factor) / (FULL_PASSES - 1.0)
    through = np.where(recipe.is_adapter, backward, 0.0)
    return np.asarray(layer_passes(layouts, recipe, forward_factor=forward_factor) + through, dtype=np.float64)
