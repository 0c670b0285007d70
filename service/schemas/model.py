"""The model of a workload on the wire: a name of the zoo, an inline architecture, or a Hugging Face config.json."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from service.schemas.architecture import ArchitectureSchema, architecture_from_hf_config
from service.schemas.issue import Issue
from service.schemas.strict import clean_text

HF_CONFIG = "hf_config"
_ARCHITECTURE = ArchitectureSchema()


class ModelField(fields.Field[Any]):
    """Loads to an id (checked against the zoo later) or to a ModelArchitecture."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            return clean_text(value, shortest=1, longest=200)
        if not isinstance(value, Mapping):
            raise ValidationError(Issue("Must be a model id, an architecture, or hf_config.", value=value))
        if HF_CONFIG in value:
            return _from_hf_config(value)
        return _ARCHITECTURE.load(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value if value is None or isinstance(value, str) else _ARCHITECTURE.dump(value)

    def shapes(self, resolve: Callable[[Schema], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema: a name, an architecture, or the contents of a config.json."""
        config = {"type": "object", "description": "The contents of a Hugging Face config.json."}
        wrapped = {
            "type": "object",
            "properties": {HF_CONFIG: config},
            "required": [HF_CONFIG],
            "additionalProperties": False,
            "title": "HfConfig",
        }
        name = {"type": "string", "minLength": 1, "maxLength": 200}
        return {"oneOf": [name, resolve(_ARCHITECTURE), wrapped]}


def _from_hf_config(value: Mapping[str, Any]) -> Any:
    if len(value) > 1:
        others = ", ".join(sorted(str(key) for key in value if key != HF_CONFIG)[:5])
        raise ValidationError(Issue(f"hf_config stands alone: it says everything that {others} would."))
    config = value[HF_CONFIG]
    if not isinstance(config, Mapping):
        raise ValidationError({HF_CONFIG: [Issue("Must be the contents of a config.json.", value=config)]})
    try:
        return architecture_from_hf_config(dict(config))
    except ValidationError as error:
        raise ValidationError({HF_CONFIG: error.messages}) from error
