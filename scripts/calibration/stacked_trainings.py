"""Many measured trainings as arrays, so that their steps are computed for many vectors of coefficients at once.

The physics is the engine's own; here it only gets arrays of many runs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scripts.calibration.training_coefficients import (
    AT,
    EARLY_ATTENTION_UNTIL_YEAR,
    FUSED_ATTENTION_SINCE_YEAR,
    FUSED_EXPERTS_SINCE_YEAR,
    FUSED_NORMS_SINCE_YEAR,
    GROUPED,
    KINDS,
    OLD_ATTENTION,
    PRECISIONS,
    RECIPES,
    values_at,
)
from scripts.calibration.training_runs import TrainingRun, as_column, columned, joined
from service.sizing.table import FloatArray
from service.sizing.training.coefficients import Software, StepCoefficients, assembled, software_kind
from service.sizing.training.layouts import micro_batches
from service.sizing.training.step import step_time

# A run weighs less the more runs its group has.
_GROUP_POWER = -0.35


class StackedRuns:
    """Many runs as arrays: a row per run, a column per vector that is tried."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        self.runs = runs
        self.layouts = columned(joined([run.layouts for run in runs]))
        self._shape = columned(joined([run.job.shape for run in runs]))
        self._recipe = columned(joined([run.job.recipe for run in runs]))
        self._rates = columned(joined([run.rates for run in runs]))

        self._rounds = as_column([max(1, int(micro_batches(r.layouts, r.job.batch_sequences)[0])) for r in runs])
        self._kind = np.array([KINDS.index(software_kind(r.job.recipe.compute, moe=r.job.shape.is_moe)) for r in runs])
        self._recipes = [RECIPES.index(r.place.recipe) if r.place.recipe in RECIPES else len(RECIPES) for r in runs]
        years = np.array([run.software_years for run in runs])
        self._linked = as_column([run.linked for run in runs])
        self._up = as_column([run.bare_up_bytes_s for run in runs])
        self._out = as_column([run.bare_out_bytes_s for run in runs])
        self._measured = np.log(as_column([run.measured_step_s for run in runs]))
        precisions = [run.place.precision if run.place.precision in PRECISIONS else "bf16" for run in runs]
        since = np.array([FUSED_EXPERTS_SINCE_YEAR["*" if name == "bf16" else "fp8"] for name in precisions])
        self._software = Software(
            age_years=as_column([run.age_years for run in runs]),
            parted_scores=as_column(np.where(years < FUSED_ATTENTION_SINCE_YEAR, 1.0, 0.0)),
            parted_experts=as_column(np.where(years < since, 1.0, 0.0)),
            parted_norms=as_column(np.where(years < FUSED_NORMS_SINCE_YEAR, 1.0, 0.0)),
            narrow=as_column([float(name != "bf16") for name in precisions]),
        )
        self._precision = np.array([AT["product_factor", name] for name in precisions])
        narrow = [name if name in GROUPED else "fp8" for name in precisions]
        self._experts = np.array([AT["expert_factor", name] for name in narrow])
        self._grouped = np.array([AT["product_factor", name] for name in narrow])
        self._grouped_generation = np.array(
            [AT["generation_factor", f"{r.place.generation}/{p}"] for r, p in zip(runs, narrow, strict=True)]
        )
        self._generation = np.array(
            [AT["generation_factor", f"{r.place.generation}/{p}"] for r, p in zip(runs, precisions, strict=True)]
        )
        self._wide = np.array([AT["generation_factor", f"{run.place.generation}/bf16"] for run in runs])
        self._plain = as_column([run.job.recipe.plain_stack for run in runs])
        self._plain_kernels = as_column([run.job.recipe.plain_kernels for run in runs])
        plain_attention = as_column([run.job.plain_attention for run in runs])
        self._captured = ~self._plain & as_column([run.captured for run in runs])
        # Whose steps are captured as one graph launch nothing.
        self._whole = self._captured & (self._rates.launch_factor == 0.0)
        self._early = plain_attention & as_column(years < EARLY_ATTENTION_UNTIL_YEAR)
        self._lags = plain_attention & as_column([run.place.generation not in OLD_ATTENTION for run in runs])
        many = Counter(run.place.group for run in runs)
        raw = np.array([many[run.place.group] ** _GROUP_POWER for run in runs])
        self.weight = raw / raw.mean()

    def log_errors(self, vector: FloatArray) -> FloatArray:
        """ln(predicted / measured) of every run's step."""
        return self.log_errors_of_each(vector[:, None])[:, 0]

    def log_errors_of_each(self, vectors: FloatArray) -> FloatArray:
        """The same of many vectors, which are columns: a row per run, a column per vector."""

        def of(name: str) -> FloatArray:
            return values_at(vectors, name)

        up = self._up * of("scale_up_efficiency")
        lagging = np.where(self._early, of("early_attention_factor"), 1.0)
        lagging = lagging * np.where(self._lags, of("plain_attention_factor"), 1.0)
        captured = np.where(self._whole, 0.0, of("captured_launch_factor"))
        plain_launches = np.where(self._plain, of("plain_launch_factor"), 1.0)
        rates = replace(
            self._rates,
            product_factor=np.exp(vectors[self._precision] + vectors[self._generation]),
            grouped_factor=np.exp(vectors[self._grouped] + vectors[self._grouped_generation]),
            attention_factor=of("attention_factor") * lagging,
            latent_factor=of("latent_factor") * lagging,
            vector_factor=np.where(self._plain_kernels, of("plain_vector_factor"), 1.0),
            wide_factor=np.exp(vectors[AT["product_factor", "bf16"]] + vectors[self._wide]),
            launch_factor=np.where(self._captured, captured, plain_launches),
            scale_up_bytes_s=np.where(self._linked, up, self._rates.scale_up_bytes_s),
            scale_out_bytes_s=self._out * of("scale_out_efficiency"),
        )
        step = step_time(
            self.layouts,
            self._shape,
            recipe=self._recipe,
            rates=rates,
            micro_batches=self._rounds,
            k=self._coefficients(vectors),
        )
        return np.asarray(np.log(step.total) - self._measured, dtype=np.float64)

    def _coefficients(self, vectors: FloatArray) -> StepCoefficients:
        def of(name: str) -> FloatArray:
            if name == "expert_factor":
                return np.asarray(np.exp(vectors[self._experts]), dtype=np.float64)
            if name == "recipe_factor":
                factors = [*(values_at(vectors, name, recipe) for recipe in RECIPES), np.ones(vectors.shape[1])]
                return np.asarray(np.stack(factors)[self._recipes], dtype=np.float64)
            if (name, KINDS[0]) in AT:
                gains = np.stack([values_at(vectors, name, kind) for kind in KINDS])
                return np.asarray(gains[self._kind], dtype=np.float64)
            return values_at(vectors, name)

        return assembled(of, self._software)
