"""Names become ids; a typo gets the nearest known names; what cannot be sized is refused with the reason."""

from dataclasses import replace

import pytest

from service.catalog.catalog import Catalog
from service.catalog.resolve import resolve, resolve_deployment
from service.catalog.together import both
from service.errors import InvalidRequestError, UnknownReferenceError, UnsupportedWorkloadError
from service.sizing.science.workload import DesignWorkload, MdWorkload
from service.sizing.workload import Constraints, Deployment, Question, Workload
from tests.build import inference_workload


def question(workload: Workload | None = None, **constraints: tuple[str, ...]) -> Question:
    return Question(workload=workload or inference_workload(), constraints=Constraints(**constraints))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("llama-3.1-70b", "llama-3.1-70b"),
        ("llama-3.3-70b", "llama-3.1-70b"),
        ("Llama-3.3-70B", "llama-3.1-70b"),
        ("llama_3_3_70b", "llama-3.1-70b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.1-70b"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-v3"),
        ("GPT-OSS 120B", "gpt-oss-120b"),
        ("Qwen2.5-7B-Instruct", "qwen2.5-7b"),
    ],
)
def test_names_of_one_architecture_are_one_id(catalog: Catalog, name: str, model: str) -> None:
    resolved = resolve(catalog, question(inference_workload(model=name)))
    assert resolved.question.workload == inference_workload(model=model)
    assert resolved.architecture is catalog.models[model].architecture
    assert resolved.application is None


@pytest.mark.parametrize("name", ["lama-3-70b", "LAMA-3-70B", "llama-3-70bb"])
def test_a_typo_gets_the_nearest_names(catalog: Catalog, name: str) -> None:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(inference_workload(model=name)))
    [error] = refused.value.detail.errors
    assert error.field == "workload.model"
    assert error.value == name
    assert "llama-3-70b" in error.did_you_mean


def test_a_name_like_no_other_gets_no_guess(catalog: Catalog) -> None:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(inference_workload(model="x" * 200)))
    [error] = refused.value.detail.errors
    assert error.did_you_mean == ()
    assert len(error.value or "") <= 80


def test_a_model_without_known_layers_is_refused_with_the_reason(catalog: Catalog) -> None:
    with pytest.raises(UnsupportedWorkloadError, match="placeholder") as refused:
        resolve(catalog, question(inference_workload(model="llama-3.1-nemotron-ultra-253b")))
    assert refused.value.detail.errors[0].field == "workload.model"


@pytest.mark.parametrize(("name", "kind"), [("Stable_Diffusion-XL", "image"), ("openai/whisper-large-v3", "speech")])
def test_another_kind_of_model_is_refused_by_what_it_is(catalog: Catalog, name: str, kind: str) -> None:
    with pytest.raises(UnsupportedWorkloadError, match=kind) as refused:
        resolve(catalog, question(inference_workload(model=name)))
    assert refused.value.detail.errors[0].field == "workload.model"


def test_a_brought_architecture_that_the_zoo_knows_counts_as_it(catalog: Catalog) -> None:
    known = catalog.models["qwen3-32b"].architecture
    brought = replace(known, id="inline")
    resolved = resolve(catalog, question(inference_workload(model=brought)))
    assert resolved.architecture is known
    assert resolved.question.workload == inference_workload(model=brought)
    other = replace(brought, vocab=brought.vocab + 1)
    assert resolve(catalog, question(inference_workload(model=other))).architecture == other


def test_constraints_take_servers_and_families_in_any_writing(catalog: Catalog) -> None:
    asked = question(
        allowed_gpus=("B300_SXM", "b200-sxm"), allowed_servers=("poweredge-xe9780", "PowerEdge XE7745 RTX PRO 6000 SE")
    )
    got = resolve(catalog, asked).question.constraints
    assert got.allowed_gpus == ("b200-sxm", "b300-sxm")
    assert got.allowed_servers == ("poweredge-xe7745-rtx-pro-6000-se", "poweredge-xe9780")


@pytest.mark.parametrize(
    ("constraints", "field", "near"),
    [
        ({"allowed_gpus": ("b200-sxm", "b300-sxn")}, "constraints.allowed_gpus.1", "b300-sxm"),
        ({"allowed_servers": ("poweredge-xe9870",)}, "constraints.allowed_servers.0", "poweredge-xe9780"),
        ({"allowed_servers": ("xe9880",)}, "constraints.allowed_servers.0", "poweredge-xe9780"),
        ({"allowed_gpus": ("RTX PRO 6001",)}, "constraints.allowed_gpus.0", "rtx-pro-6000"),
    ],
)
def test_an_unknown_constraint_names_its_place(
    catalog: Catalog, constraints: dict[str, tuple[str, ...]], field: str, near: str
) -> None:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(**constraints))
    [error] = refused.value.detail.errors
    assert error.field == field
    assert near in error.did_you_mean


def test_applications_go_by_alias_too(catalog: Catalog) -> None:
    asked = MdWorkload(application="GMX", atoms=1e5, ns_day=10.0)
    resolved = resolve(catalog, question(asked))
    assert resolved.application is catalog.applications["gromacs"]
    assert resolved.question.workload == replace(asked, application="gromacs")
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(replace(asked, application="gromax")))
    assert "gromacs" in refused.value.detail.errors[0].did_you_mean


def test_the_gpu_of_a_measured_rate_is_checked(catalog: Catalog) -> None:
    asked = DesignWorkload(application="rfdiffusion", design_s=10.0, designs_day=5.0, measured_gpu="H100_SXM")
    workload = resolve(catalog, question(asked)).question.workload
    assert isinstance(workload, DesignWorkload)
    assert workload.measured_gpu == "h100-sxm"
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(replace(asked, measured_gpu="h100-sx")))
    assert refused.value.detail.errors[0].field == "workload.measured_gpu"


def test_a_deployment_names_a_gpu_and_perhaps_a_server(catalog: Catalog) -> None:
    got = resolve_deployment(catalog, Deployment(gpu="B200-SXM", gpus=8, server="POWEREDGE-XE9780-B200"))
    assert (got.gpu, got.server) == ("b200-sxm", "poweredge-xe9780-b200")
    for deployment, field in (
        (Deployment(gpu="b201", gpus=8), "deployment.gpu"),
        (Deployment(gpu="b200-sxm", gpus=8, server="xe9781"), "deployment.server"),
    ):
        with pytest.raises(UnknownReferenceError) as refused:
            resolve_deployment(catalog, deployment)
        assert refused.value.detail.errors[0].field == field


@pytest.mark.parametrize(
    ("gpu", "server", "found"),
    [
        ("B200", "xe9780", ("b200-sxm", "poweredge-xe9780-b200")),
        ("NVIDIA B300", "Dell PowerEdge XE9780", ("b300-sxm", "poweredge-xe9780-b300")),
        ("rtx pro 6000", "PowerEdge XE7740", ("rtx-pro-6000-se", "poweredge-xe7740-rtx-pro-6000-se")),
        ("gb300", "xe9712", ("gb300", "poweredge-xe9712-gb300")),
    ],
)
def test_a_deployment_may_be_named_as_people_speak(
    catalog: Catalog, gpu: str, server: str, found: tuple[str, str]
) -> None:
    got = resolve_deployment(catalog, Deployment(gpu=gpu, gpus=8, server=server))
    assert (got.gpu, got.server) == found


def test_a_family_without_the_gpu_is_refused_with_those_that_carry_it(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match=r"does not carry b300-sxm; these do: .*poweredge-xe9780-b300"):
        resolve_deployment(catalog, Deployment(gpu="b300", gpus=8, server="xe7740"))


def test_a_server_without_the_gpu_is_refused_with_those_that_carry_it(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequestError, match="poweredge-xe9780-b200") as refused:
        resolve_deployment(catalog, Deployment(gpu="b200-sxm", gpus=8, server="poweredge-xe9780-b300"))
    [error] = refused.value.detail.errors
    assert (error.field, error.value) == ("deployment.server", "poweredge-xe9780-b300")
    assert error.did_you_mean
    assert {catalog.hardware.server(name).gpu for name in error.did_you_mean} == {"b200-sxm"}


def test_a_gpu_that_no_server_carries_says_so(catalog: Catalog) -> None:
    loose = next(g.id for g in catalog.hardware.gpus if g.id not in {s.gpu for s in catalog.hardware.servers})
    with pytest.raises(InvalidRequestError, match="leave the server out"):
        resolve_deployment(catalog, Deployment(gpu=loose, gpus=8, server="poweredge-xe9780-b300"))


def told(asked: Question, catalog: Catalog) -> list[str]:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, asked)
    errors = refused.value.detail.errors
    assert all(error.value for error in errors)
    others = len(errors) - 1
    assert refused.value.message.startswith(f"{errors[0].field}: ")
    assert refused.value.message.endswith(f"And {others} more; see errors." if others else "')")
    return [error.field for error in errors]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("lama", "llama"), ("Llama", "llama"), ("gpt-oss", "gpt-oss"), ("qwn", "qwen"), ("Deep Seek", "deepseek")],
)
def test_who_types_no_number_is_told_the_newest_models_of_that_name(typed: str, meant: str, catalog: Catalog) -> None:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve(catalog, question(inference_workload(model=typed)))
    near = refused.value.detail.errors[0].did_you_mean
    usable = {name: model.released or "" for name, model in catalog.models.items() if model.usable}
    months = {name: month for name, month in usable.items() if name.startswith(meant)}
    assert near
    assert set(near) <= months.keys()
    assert min(months[name] for name in near) >= max((months[name] for name in months.keys() - set(near)), default="")


def test_everything_that_is_unknown_is_told_at_once(catalog: Catalog) -> None:
    wrong = {"allowed_gpus": ("b200-smx", "b200-sxm", "b300-smx"), "allowed_servers": ("poweredge-xe9870",)}
    of_constraints = ["constraints.allowed_gpus.0", "constraints.allowed_gpus.2", "constraints.allowed_servers.0"]
    assert told(question(**wrong), catalog) == of_constraints
    assert told(question(inference_workload(model="lama"), **wrong), catalog) == ["workload.model", *of_constraints]
    design = DesignWorkload(application="rfdiffusio", design_s=10.0, designs_day=5.0, measured_gpu="h100-sx")
    of_design = ["workload.application", "workload.measured_gpu"]
    assert told(question(design, **wrong), catalog) == [*of_design, *of_constraints]


def test_of_very_many_unknown_names_some_are_told(catalog: Catalog) -> None:
    asked = question(allowed_gpus=tuple(f"gpu-{n}" for n in range(90)))
    with pytest.raises(UnknownReferenceError, match="And 49 more") as refused:
        resolve(catalog, asked)
    assert len(refused.value.detail.errors) == 50


def test_a_deployment_tells_gpu_and_server(catalog: Catalog) -> None:
    with pytest.raises(UnknownReferenceError) as refused:
        resolve_deployment(catalog, Deployment(gpu="b201", gpus=8, server="xe9781"))
    assert [error.field for error in refused.value.detail.errors] == ["deployment.gpu", "deployment.server"]


def test_what_is_wrong_in_another_way_waits_for_the_names(catalog: Catalog) -> None:
    def unfit() -> None:
        raise InvalidRequestError("does not fit")

    def missing() -> None:
        resolve_deployment(catalog, Deployment(gpu="b201", gpus=8))

    with pytest.raises(UnknownReferenceError):
        both(missing, unfit)
    with pytest.raises(InvalidRequestError):
        both(unfit, missing)
