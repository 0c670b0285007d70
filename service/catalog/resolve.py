"""Names in a question -> what they name in the catalog, with the nearest known names for a typo."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from service.catalog.catalog import Catalog
from service.catalog.together import both, each, unknown
from service.errors import FieldError, InvalidRequestError, PlannerError, UnsupportedWorkloadError
from service.schemas.issue import nearest
from service.sizing.architecture import ModelArchitecture
from service.sizing.science.application import Application
from service.sizing.science.workload import DesignWorkload, DockingWorkload, ScienceWorkload
from service.sizing.size import Subject
from service.sizing.workload import (
    Constraints,
    Deployment,
    InferenceWorkload,
    Question,
    TrainingWorkload,
    Workload,
)

_SEPARATORS = re.compile(r"[\s_./]+")
# People say "xe9780" and "Dell PowerEdge XE9780", "B200" and "NVIDIA B200 SXM".
_VENDORS = ("dell-", "nvidia-", "poweredge-")
_FORM_FACTORS = ("-sxm", "-se")
# What a model is called before its number.
_FAMILY = re.compile(r"[a-z]*")
_SUGGESTED = 3
# What publishers append to the name of one architecture; a number format is no part of a name here.
_SUFFIXES = ("-instruct", "-chat", "-it", "-base", "-hf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The question with canonical ids, and what its model or application is.

    `called` is the same with the model by the name that was asked for, as the zoo spells it: two names of one
    architecture are one question, and whoever asked for one is not told of the other.
    """

    question: Question
    called: Question
    architecture: ModelArchitecture | None
    application: Application | None

    @property
    def subject(self) -> Subject:
        """What the engine is asked."""
        return Subject(question=self.question, architecture=self.architecture, application=self.application)


def resolve(catalog: Catalog, question: Question) -> Resolved:
    """Replaces aliases by ids. Raises UnknownReferenceError naming every field and the nearest known names."""
    (workload, architecture, application), constraints = both(
        lambda: resolve_workload(catalog, question.workload), lambda: _constraints(catalog, question.constraints)
    )
    canonical = dataclasses.replace(question, workload=workload, constraints=constraints)
    return Resolved(
        question=canonical,
        called=_called(catalog, canonical, question.workload),
        architecture=architecture,
        application=application,
    )


def _called(catalog: Catalog, canonical: Question, asked: Workload) -> Question:
    workload = canonical.workload
    if not isinstance(workload, InferenceWorkload | TrainingWorkload) or not isinstance(workload.model, str):
        return canonical
    name = _model_name(catalog, str(getattr(asked, "model", workload.model)))
    return dataclasses.replace(canonical, workload=dataclasses.replace(workload, model=name))


def resolve_workload(
    catalog: Catalog, workload: Workload
) -> tuple[Workload, ModelArchitecture | None, Application | None]:
    """The workload with canonical ids, its architecture, its application."""
    if isinstance(workload, InferenceWorkload | TrainingWorkload):
        if isinstance(workload.model, ModelArchitecture):
            return workload, _known_architecture(catalog, workload.model), None
        model = _model_id(catalog, workload.model)
        return dataclasses.replace(workload, model=model), catalog.models[model].architecture, None
    return _science(catalog, workload)


def resolve_deployment(catalog: Catalog, deployment: Deployment) -> Deployment:
    """The deployment with canonical ids of its GPU and its server."""
    gpu, server = both(
        lambda: find(deployment.gpu, _gpu_names(catalog), field="deployment.gpu", what="GPU"),
        lambda: _server(catalog, deployment.server),
    )
    return dataclasses.replace(deployment, gpu=gpu, server=None if server is None else _carrier(catalog, server, gpu))


def model_meant(catalog: Catalog, name: str) -> str:
    """The id of the model that a filter means; the name itself where no model goes by it."""
    try:
        return _model_names(catalog)[_model_name(catalog, name)]
    except PlannerError:
        return name


def gpu_meant(catalog: Catalog, name: str) -> str:
    """The id of the GPU that a filter means; the name itself where no GPU goes by it."""
    try:
        return find(name, _gpu_names(catalog), field="gpu", what="GPU")
    except PlannerError:
        return name


def _server(catalog: Catalog, name: str | None) -> str | None:
    return None if name is None else find(name, _server_names(catalog), field="deployment.server", what="server")


def _carrier(catalog: Catalog, server: str, gpu: str) -> str:
    """The server, or the one of this family, that carries the GPU.

    Raises InvalidRequestError naming the servers that do when it does not.
    """
    carriers = {spec.id: spec.family for spec in catalog.hardware.servers if spec.gpu == gpu}
    meant = [carrier for carrier, family in carriers.items() if server in (carrier, family)]
    if meant:
        return meant[0]
    raise _does_not_carry(server, gpu, tuple(sorted(carriers)))


def _does_not_carry(server: str, gpu: str, carriers: tuple[str, ...]) -> InvalidRequestError:
    way_out = f"these do: {', '.join(carriers)}" if carriers else "no server of the catalog does; leave the server out"
    message = f"{server} does not carry {gpu}; {way_out}."
    error = FieldError(field="deployment.server", message=message, value=server, did_you_mean=carriers)
    return InvalidRequestError(f"deployment.server: {message}", errors=(error,))


def find(name: str, known: Mapping[str, str], *, field: str, what: str) -> str:
    """The id that a name stands for: exactly, else with other case, separators and vendor. `known` is name -> id."""
    if name in known:
        return known[name]
    found = {known[candidate] for candidate in known if _bare(candidate) == _bare(name)}
    if len(found) == 1:
        return found.pop()
    raise unknown(_not_there(name, known, field=field, what=what))


def _not_there(
    name: str, known: Iterable[str], *, field: str, what: str, near: tuple[str, ...] | None = None
) -> FieldError:
    """What to tell of a name that the catalog does not have; `near` is what was meant, where that is known better."""
    names = tuple(known)
    near = nearest(name, names) if near is None else near
    hint = f" Did you mean {near[0]}?" if near else f" The catalog lists {len(set(names))} names."
    message = f"There is no {what} of this name in the catalog.{hint}"
    shown = name if len(name) <= 80 else name[:77] + "..."
    return FieldError(field=field, message=message, value=shown, did_you_mean=near)


def folded(name: str) -> str:
    """A name without case and separators: `GPT_OSS 120B` and `gpt-oss-120b` are one."""
    return _SEPARATORS.sub("-", name.strip().lower())


def _bare(name: str) -> str:
    """A folded name without its vendor."""
    bare = folded(name)
    for vendor in _VENDORS:
        bare = bare.removeprefix(vendor)
    return bare


def _model_id(catalog: Catalog, name: str) -> str:
    known = _model_names(catalog)
    return _usable(catalog, known[_model_name(catalog, name)])


def _model_name(catalog: Catalog, name: str) -> str:
    """The id or alias that a name means, as the zoo spells it. Raises UnknownReferenceError for none."""
    known = _model_names(catalog)
    # Publishers prefix their organisation and append what the weights were tuned for.
    last = name.rsplit("/", 1)[-1]
    shortened = [last.lower().removesuffix(suffix) for suffix in _SUFFIXES if last.lower().endswith(suffix)]
    for candidate in (name, last, *shortened):
        alike = _folded_names(catalog).get(folded(candidate), ())
        if candidate in known:
            return candidate
        if len({known[one] for one in alike}) == 1:
            return alike[0]
    for other, kind in catalog.not_sized.items():
        if folded(other) == folded(last):
            message = f"{other} is a model for {kind}; Headroom sizes language models and the applications it lists."
            error = FieldError(field="workload.model", message=message, value=other)
            raise UnsupportedWorkloadError(message, errors=(error,))
    family = _family(catalog, name)
    raise unknown(_not_there(name, known, field="workload.model", what="model", near=family or None))


def _family(catalog: Catalog, name: str) -> tuple[str, ...]:
    """Who types no number means the models of a name, the newest first; none where no name is like it."""
    word = folded(name)
    if any(letter.isdigit() for letter in word):
        return ()
    usable = {model: each.released or "" for model, each in catalog.models.items() if each.usable}
    names = sorted(usable, key=usable.__getitem__, reverse=True)
    begun = [one for one in names if one.startswith(word)]
    meant = nearest(word, sorted({"".join(_FAMILY.findall(one)[:1]) for one in names}), count=1)
    return tuple((begun or [one for one in names if one.startswith(meant)])[:_SUGGESTED])


def _usable(catalog: Catalog, model: str) -> str:
    if not catalog.models[model].usable:
        why = catalog.models[model].notes or "its layers are not known well enough."
        message = f"Model {model} is in the catalog and cannot be sized: {why}"
        error = FieldError(field="workload.model", message=message, value=model)
        raise UnsupportedWorkloadError(message, errors=(error,))
    return model


def _known_architecture(catalog: Catalog, brought: ModelArchitecture) -> ModelArchitecture:
    """The zoo's own architecture when its layers are the same: what was measured on it then counts as evidence."""
    for model in catalog.models.values():
        known = model.architecture
        # Three numbers tell almost all of them apart without comparing every layer.
        alike = (known.layers, known.hidden, known.vocab) == (brought.layers, brought.hidden, brought.vocab)
        if model.usable and alike and dataclasses.replace(known, id=brought.id) == brought:
            return known
    return brought


def _science(catalog: Catalog, workload: ScienceWorkload) -> tuple[Workload, None, Application]:
    names = {name: name for name in catalog.applications}
    for application in catalog.applications.values():
        names |= {alias: application.id for alias in application.aliases if alias not in names}
    found, gpu = both(
        lambda: find(workload.application, names, field="workload.application", what="application"),
        lambda: _measured_gpu(catalog, workload),
    )
    resolved = dataclasses.replace(workload, application=found)
    if isinstance(resolved, DockingWorkload | DesignWorkload):
        resolved = dataclasses.replace(resolved, measured_gpu=gpu)
    return resolved, None, catalog.applications[found]


def _measured_gpu(catalog: Catalog, workload: ScienceWorkload) -> str | None:
    name = workload.measured_gpu if isinstance(workload, DockingWorkload | DesignWorkload) else None
    return None if name is None else find(name, _gpu_names(catalog), field="workload.measured_gpu", what="GPU")


def _constraints(catalog: Catalog, constraints: Constraints) -> Constraints:
    """GPUs and servers by canonical id, sorted; a server family stays a family."""
    gpus, servers = both(
        lambda: _allowed(constraints.allowed_gpus, _gpu_names(catalog), kind="gpus", what="GPU"),
        lambda: _allowed(constraints.allowed_servers, _server_names(catalog), kind="servers", what="server"),
    )
    return dataclasses.replace(constraints, allowed_gpus=gpus, allowed_servers=servers)


def _allowed(
    names: tuple[str, ...] | None, known: Mapping[str, str], *, kind: str, what: str
) -> tuple[str, ...] | None:
    if names is None:
        return None
    field = f"constraints.allowed_{kind}"
    looks = [partial(find, name, known, field=f"{field}.{place}", what=what) for place, name in enumerate(names)]
    return tuple(sorted(set(each(looks))))


def _gpu_names(catalog: Catalog) -> dict[str, str]:
    """Ids, and what those that can be ordered are called for short: each comes in one form."""
    names = {gpu.id: gpu.id for gpu in catalog.hardware.gpus}
    for gpu in catalog.hardware.gpus:
        for form in () if gpu.reference else _FORM_FACTORS:
            names.setdefault(gpu.id.removesuffix(form), gpu.id)
    return names


def _server_names(catalog: Catalog) -> dict[str, str]:
    """Ids and families, each as itself."""
    servers = catalog.hardware.servers
    return {server.id: server.id for server in servers} | {server.family: server.family for server in servers}


def _model_names(catalog: Catalog) -> dict[str, str]:
    return {**{name: name for name in catalog.models}, **catalog.aliases}


def _folded_names(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    return _folded(tuple(sorted(_model_names(catalog))))


@lru_cache(maxsize=4)
def _folded(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Names by what is left of them without case and separators."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(folded(name), []).append(name)
    return {name: tuple(alike) for name, alike in groups.items()}
