"""The application: everything that answers over HTTP, put together. granian serves `api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from api import admission, health, logs, pages, refusing, rest
from api.edge import Edge
from api.state import Bank
from api.worker import end_with_parent, freeze_what_is_loaded, when_stopped
from timebank.settings import from_environment

# The longest honest body: a thousand decisions at once.
BODY_LIMIT_BYTES = 256 * 1024


def create_app(bank: Bank | None = None) -> Litestar:
    """The app for `bank`, or for the one that the environment describes, opened when the app starts.

    Raises `admission.Unguarded` when a route is open to nobody knows whom.
    """
    settings = bank.settings if bank else from_environment()
    logs.configure(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        """Open the bank, unless it was given, and close it when what was begun is done."""
        if bank is not None:
            yield
            return
        end_with_parent()
        app.state.bank = await Bank.open(settings)
        # Before the server waits for its requests to end: those that wait for something to happen never would.
        when_stopped(app.state.bank.watching.stop)
        freeze_what_is_loaded()
        try:
            yield
        finally:
            await app.state.bank.close()

    app = Litestar(
        route_handlers=[*pages.handlers, *rest.handlers, *health.handlers],
        guards=[admission.admit],
        exception_handlers=refusing.handlers,
        lifespan=[lifespan],
        request_max_body_size=BODY_LIMIT_BYTES,
        # `api/openapi.py` writes its own description, from the same declarations that the handlers read.
        openapi_config=None,
        logging_config=None,
    )
    if bank is not None:
        app.state.bank = bank
    admission.refuse_unguarded(app)
    figures = health.Figures(lambda: app.state.bank)
    app.state.figures = figures
    app.asgi_handler = Edge(app.asgi_handler, lambda: app.state.bank, figures.observe)
    return app
