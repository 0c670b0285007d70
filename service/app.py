"""create_app(runtime=None): registers blueprints and error handlers, nothing else."""

from config.starting import started  # isort: split

import sys
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask

from config.environment import SettingsError, settings_from_environment
from service.api import BLUEPRINTS
from service.api.document import add_document
from service.cores import keep_to
from service.edge.answers import OrjsonProvider
from service.edge.authentication import remember_keys
from service.edge.context import attach
from service.edge.document import make_api
from service.edge.gate import let_in_through_gate
from service.edge.limits import limit_rates, register_rate_headers
from service.edge.measuring import measure_answers
from service.edge.problems import register_error_handlers
from service.edge.recent_readiness import keep_readiness
from service.edge.refused_calls import tell_of_refused_calls
from service.edge.requests import register_request_hooks
from service.edge.server import let_requests_leave
from service.edge.sessions import remember_tenants
from service.edge.tracing import trace_requests
from service.edge.waiting import open_waiting_room
from service.errors import PlannerError
from service.logs.configure import configure_logging
from service.logs.process import own_logs
from service.metrics import shared_metrics
from service.runtime import Runtime, build_runtime, load_facts
from service.tracing import make_tracing
from service.web.pages import add_pages

log = structlog.get_logger(__name__)

_ROLE = "web"
# A thread that computes gives way to others within so long: the usual 5 ms is more than most answers take.
_GIVES_WAY_S = 0.001


class Application(Flask):
    """Flask without coroutines: no hook or view here is one, and Flask would ask each of them for every request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is."""
        return func


def create_app(runtime: Runtime | None = None) -> Flask:
    """The web application; without a runtime it builds its own from the environment."""
    if runtime is None:
        return serve(_runtime)
    configure_logging(runtime.settings.log_level, role=_ROLE)
    return _application(runtime)


def serve(build: Callable[[], Runtime]) -> Flask:
    """The application of a process of its own: its logs and its server are the process's; ended if it cannot start."""
    own_logs("INFO", role=_ROLE)
    let_requests_leave()
    sys.setswitchinterval(_GIVES_WAY_S)
    try:
        app = _application(build())
    except (SettingsError, PlannerError) as error:
        log.critical("cannot_start", reason=str(error))
    except Exception as error:
        log.critical("cannot_start", error=type(error).__name__, exc_info=error)
    else:
        # To look for garbage in what stays there would hold up every request for a fifth of a second at a time.
        started()
        return app
    # The server starts another process, and after a while gives up.
    sys.exit(1)


def _application(runtime: Runtime) -> Flask:
    settings = runtime.settings
    app = Application(__name__, static_folder=None)
    app.json = OrjsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes
    # Flask's own answer to OPTIONS is a page that the document does not promise; 405 names the methods of a path too.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = True
    # A redirect to what somebody may have meant is no answer to a program.
    app.url_map.merge_slashes = False
    attach(app, runtime)
    open_waiting_room(app, threads=settings.web_threads)
    measure_answers(app)
    limit_rates(app, settings)
    tell_of_refused_calls(app)
    remember_keys(app, memory_s=settings.key_memory_s)
    remember_tenants(app)
    keep_readiness(app)
    trace_requests(app, runtime.tracing)
    register_request_hooks(app, runtime.tracing)
    register_rate_headers(app)
    api = make_api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    add_pages(app)
    register_error_handlers(app)
    add_document(app, api, config_dir=settings.config_dir)
    let_in_through_gate(app)
    return app


def _runtime() -> Runtime:
    """What a web process of its own holds."""
    settings = settings_from_environment()
    own_logs(settings.log_level, role=_ROLE)
    keep_to(settings.web_cores)
    tracing = make_tracing(settings, role=_ROLE)
    facts = load_facts(settings)
    return build_runtime(settings, facts=facts, metrics=shared_metrics(settings.metrics_dir), tracing=tracing)
