"""Whether a model generates at all, and a workload's sequences fit into its context."""

from service.errors import FieldError, InvalidRequestError, UnsupportedWorkloadError
from service.sizing.architecture import ModelArchitecture
from service.sizing.inference.traffic import longest_tokens
from service.sizing.workload import InferenceWorkload


def check_context(workload: InferenceWorkload, architecture: ModelArchitecture) -> None:
    """Raises InvalidRequestError naming the context when the longest sequence exceeds it.

    An encoder, which writes no tokens, is UnsupportedWorkloadError.
    """
    if architecture.encoder:
        message = f"{architecture.id} is an encoder: it embeds and generates no tokens; it is sized as a training only."
        raise UnsupportedWorkloadError(message, errors=(FieldError(field="workload.model", message=message),))
    longest, most = longest_tokens(workload), architecture.max_context_tokens
    if most is not None and longest > most:
        raise InvalidRequestError(
            f"isl_tokens + osl_tokens reach {longest:,.0f}, {architecture.id} has a context of {most:,}",
            errors=(
                FieldError(
                    field="workload.isl_tokens",
                    message=f"Input and output are {longest:,.0f} tokens together, and the context of the model is "
                    f"{most:,}: shorten them or choose another model.",
                    value=f"{longest:.0f}",
                    limit=str(most),
                ),
            ),
        )
