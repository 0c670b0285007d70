"""What the worker of the no-op task starts."""

from config.environment import settings_from_environment
from scripts.benchmark.noop import TASK, noop_app

app = noop_app(settings_from_environment())


@app.task(name=TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def noop() -> None:
    """Do nothing."""
