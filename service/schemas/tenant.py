"""A tenant on the wire, as its administrators see it."""

from service.schemas.plain import count, text
from service.schemas.run import moment
from service.schemas.words import WordedSchema


class TenantSchema(WordedSchema):
    """Your tenant and what it may do; the operator of the installation sets that."""

    id = text("Id of the tenant.")
    name = text("Its name.")
    created_at = moment("When it was made.")
    reads_max = count("Calls that read, per window.")
    writes_max = count("Calls that write or compute, per window.")
    window_s = count("How long a window is [s].")
    open_runs_max = count("Runs that may be open at once, equal questions counted once; one more is refused with 429.")
    open_runs = count("Runs that are open now, counted so.")
