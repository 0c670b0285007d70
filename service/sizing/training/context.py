"""Whether the sequences of a tuning fit into the model's context."""

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.workload import Method, TrainingWorkload

# Pretraining sets the context, and may go on to extend it.
_SETS_CONTEXT = frozenset({Method.PRETRAIN, Method.CONTINUED_PRETRAIN})


def check_sequence(workload: TrainingWorkload, architecture: ModelArchitecture) -> None:
    """Raises InvalidRequestError naming the context when a model is tuned on longer sequences."""
    length, most = workload.seq_len_tokens, architecture.max_context_tokens
    if workload.method in _SETS_CONTEXT or most is None or length <= most:
        return
    message = (
        f"A sequence of {length:,} tokens is longer than the model's context of {most:,}: "
        "shorten it or choose another model."
    )
    raise InvalidRequestError(
        f"seq_len_tokens is {length:,}, {architecture.id} has a context of {most:,}",
        errors=(FieldError(field="workload.seq_len_tokens", message=message, value=str(length), limit=str(most)),),
    )
