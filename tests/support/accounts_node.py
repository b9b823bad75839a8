"""The operations on accounts as an application: real accounts and policy, store in memory."""

from __future__ import annotations

import asyncio
import functools
from types import SimpleNamespace
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from casemate.api import access, accounts, node_audit
from casemate.api.authentication import RequireCredential
from casemate.api.problems import response_to
from casemate.api.served import Served
from casemate.api.service import Service
from casemate.model.deployment import DeployedFunction
from casemate.model.usage import Usage
from casemate.policy import CedarPolicy
from support.accounts import World
from support.parts import unused_parts
from support.recorder import FakeRecorder

PREFIX = "/api/v1"
OPERATIONS = (*accounts.OPERATIONS, *access.OPERATIONS, *node_audit.OPERATIONS)


def application(world: World) -> Starlette:
    """Return the application, which authenticates and decides as the whole API does."""
    # Only what these operations use: the rest of the service is built by the whole node.
    service: Any = SimpleNamespace(
        **unused_parts(world.facts),
        accounts=_Present(world),
        control=Functions(),
        sources=lambda: (),
        policy=CedarPolicy(),
        facts=world.facts,
        recorder=FakeRecorder(),
    )
    service.may = functools.partial(Service.may, service)
    service.require = functools.partial(Service.require, service)
    by_path: dict[str, dict[str, Served]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[
            Route(PREFIX + path, _endpoint(methods, service), methods=list(methods))
            for path, methods in by_path.items()
        ],
        middleware=[
            Middleware(
                RequireCredential,
                authenticate=lambda *shown: world.accounts.authenticate(*shown),
                happened=world.facts.happened,
                open_paths=frozenset(
                    (o.method, PREFIX + o.path) for o in OPERATIONS if not o.authenticated
                ),
            )
        ],
    )
    app.state.service = service
    return app


class Functions:
    """A control service that knows the functions that a test gives it, and of no use of them."""

    def __init__(self) -> None:
        self.found: list[DeployedFunction] = []
        self.used: tuple[Usage, ...] = ()

    async def functions(self) -> tuple[DeployedFunction, ...]:
        return tuple(self.found)

    async def recorded(self, _operation: Any) -> tuple[Usage, ...]:
        return self.used


class _Present:
    """The accounts that the world has now: a test may start them anew."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.accounts, name)


def _endpoint(methods: dict[str, Served], service: Service) -> Any:
    async def endpoint(request: Request) -> Response:
        operation = methods.get(request.method) or methods["GET"]
        try:
            if operation.action is not None:
                service.require(request, operation.action, operation.resource(request))
            return await operation.endpoint(request, service)
        except Exception as error:
            return response_to(error)

    return endpoint


class ApplicationTransport(httpx2.BaseTransport):
    """Lets a synchronous client ask an application without a network."""

    def __init__(self, app: Starlette, remote: str = "10.0.0.9") -> None:
        self._app = app
        self.remote = remote

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        async def ask() -> httpx2.Response:
            transport = httpx2.ASGITransport(self._app, client=(self.remote, 1))
            async with httpx2.AsyncClient(transport=transport) as client:
                answer = await client.request(
                    request.method, request.url, headers=request.headers, content=request.read()
                )
                return httpx2.Response(
                    answer.status_code, headers=answer.headers, content=answer.content
                )

        return asyncio.run(ask())


def use_in_cli(monkeypatch: Any, transport: ApplicationTransport) -> None:
    """Let the command line's client, and nothing else, ask the application."""
    client = functools.partial(httpx2.Client, transport=transport)
    patched = SimpleNamespace(**{**vars(httpx2), "Client": client})
    monkeypatch.setattr("casemate.cli.client.httpx2", patched)


class Asking:
    """Asks the application as whoever a token belongs to."""

    def __init__(self, world: World) -> None:
        self.world = world
        app = application(world)
        self.service = app.state.service
        self.transport = ApplicationTransport(app)

    def __call__(
        self, method: str, path: str, *, token: str | None = "", **rest: Any
    ) -> httpx2.Response:
        """Ask; without `token` as the owner, with None as nobody."""
        headers = dict(rest.pop("headers", {}))
        text = self.world.owner_text if token == "" else token
        if text is not None:
            headers["authorization"] = f"Bearer {text}"
        with httpx2.Client(transport=self.transport, base_url="http://127.0.0.1") as client:
            return client.request(method, PREFIX + path, headers=headers, **rest)

    def token(self, name: str, *roles: str) -> str:
        """Make a service token and return its text."""
        answer = self("POST", "/tokens", json={"name": name, "roles": roles})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["text"])
