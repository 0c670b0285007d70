"""What the engine cannot mean is refused before a run is made, and what it can mean is not."""

import json
from dataclasses import replace

import pytest

from config.environment import ROOT
from service.catalog.catalog import Catalog
from service.catalog.resolve import resolve
from service.errors import InvalidRequestError, UnsupportedWorkloadError
from service.schemas.workload import SizingRequestSchema
from service.sizing.check import check
from service.sizing.workload import Question, TokenLength, TrainingWorkload
from tests.build import inference_workload

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.json"))


def checked(catalog: Catalog, question: Question) -> None:
    found = resolve(catalog, question)
    check(
        found.question.workload,
        architecture=found.architecture,
        application=found.application,
        calibration=catalog.calibration,
    )


def example(name: str) -> Question:
    path = next(p for p in EXAMPLES if name in p.name)
    return SizingRequestSchema().load(json.loads(path.read_text(encoding="utf-8"))).question


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_passes(path, catalog: Catalog) -> None:
    checked(catalog, SizingRequestSchema().load(json.loads(path.read_text(encoding="utf-8"))).question)


def test_an_encoder_generates_nothing_and_is_not_served(catalog: Catalog) -> None:
    with pytest.raises(UnsupportedWorkloadError, match="encoder"):
        checked(
            catalog,
            Question(
                workload=inference_workload(
                    model="bert-large", isl_tokens=TokenLength(mean=100.0), osl_tokens=TokenLength(mean=10.0)
                )
            ),
        )


def test_a_context_longer_than_the_model_is_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="131,072"):
        checked(catalog, Question(workload=inference_workload(isl_tokens=TokenLength(mean=140_000.0))))


def test_a_batch_that_no_layout_divides_is_refused_with_the_nearest_that_works(catalog: Catalog) -> None:
    question = example("pretrain")
    assert isinstance(question.workload, TrainingWorkload)
    target = replace(question.workload.target, deadline_days=None, gpus=16384)
    odd = replace(question.workload, global_batch_sequences=1021, target=target)
    with pytest.raises(InvalidRequestError) as caught:
        checked(catalog, Question(workload=odd))
    limit = caught.value.detail.errors[0].limit
    assert limit is not None
    checked(catalog, Question(workload=replace(odd, global_batch_sequences=int(limit))))


def test_a_method_that_an_application_lacks_is_refused(catalog: Catalog) -> None:
    question = example("gromacs")
    with pytest.raises(InvalidRequestError, match="pme"):
        checked(catalog, Question(workload=replace(question.workload, method="amoeba-7")))
