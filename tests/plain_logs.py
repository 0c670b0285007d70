"""What this process logs as long as no test configures it: structlog's own form, with traces as Python prints them.

Its coloured traces with every variable cost more than most of the crashes that tests provoke.
"""

import structlog


def log_plainly() -> None:
    """Whatever ran before, every line is written, in plain form."""
    structlog.reset_defaults()
    before = structlog.get_config()["processors"][:-1]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])
