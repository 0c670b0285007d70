"""Tasks that render."""

from service.planning.render import render
from service.queue import TaskName
from workers.app import app, runtime


@app.task(name=TaskName.RENDER_QUOTE.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def render_quote(quote_id: str) -> None:
    """Make the documents of one revision of a quote."""
    render(runtime(), quote_id)
