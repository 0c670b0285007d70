"""The HTTP rows as a table."""

from scripts.benchmark.table import Section, figure, percent
from scripts.benchmark.web import CONNECTIONS, FLASK, FLASK_LARGE, FLASK_POST, POST_PLAIN, RUN_PLAIN, WebFigures
from service.settings import Cores

# Rows whose answers are large: a handler that reads and sends as much is the fairer limit.
_ALIKE = {FLASK_LARGE: FLASK_LARGE, RUN_PLAIN: FLASK_LARGE, FLASK_POST: FLASK_POST, POST_PLAIN: FLASK_POST}
# The bare handlers keep to cores as the product does.
_CORES = {Cores.ANY: "", Cores.OWN: "each process on one core, "}


def section(figures: WebFigures) -> Section:
    """Requests per second, latency, CPU and the ratios to the bare handlers."""
    rows = []
    for row in figures.rows:
        beside = percent(figures.ratio(row.name, _ALIKE[row.name])) if row.name in _ALIKE else ""
        ratio = percent(figures.ratio(row.name)) if row.connections == CONNECTIONS else ""
        rows.append(
            (
                row.name if not row.errors else f"{row.name} ({row.errors} failed)",
                f"{row.body_bytes:,}",
                figure(row.middle("requests_s")),
                figure(row.middle("p50_ms")),
                figure(row.middle("p99_ms")),
                figure(row.middle("cpu_ms")),
                ratio,
                beside,
            )
        )
    return Section(
        title=f"HTTP on Granian, {figures.web_workers} processes x {figures.web_threads} threads, "
        f"{_CORES[figures.web_cores]}{CONNECTIONS} connections",
        columns=(
            "row",
            "body bytes",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "CPU ms/request",
            "of bare Flask",
            "of bare Flask, bytes alike",
        ),
        rows=rows,
        notes=_notes(figures),
    )


def _notes(figures: WebFigures) -> str:
    rounds = len(figures.rows[0].rounds)
    how = (
        f"Medians of {rounds} rounds of {figures.seconds:g} s; each round loads every row once, and the ratios are "
        f"medians of the rounds' ratios of requests/s to `{FLASK}`."
    )
    counted = (
        "CPU counts every process of the installation (web, worker, dispatcher, broker, cache), or the bare server's, "
        "and not the load client, which runs on the same cores. SQLite, embedded cache, logs to a file, keys checked, "
        "rate limits on (above the load)."
    )
    asked = (
        "The cached run is one run that is read again and again. Every POST carries another name: it is parsed, "
        "validated, and makes a workload and a run. An estimate is computed each time. All requests say "
        "`Accept-Encoding: gzip`, as browsers and libraries do, but for the rows that are not compressed: the answer "
        "of a run is compressed once, and the bare handlers compress nothing."
    )
    return f"{how} {counted} {asked}"
