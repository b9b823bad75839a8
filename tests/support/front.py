"""The route table as a gateway builds it, in front of what a test plays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from casemate.admission import Catalogue
from casemate.front import (
    API_PREFIX,
    AUTHORITY_PATH,
    DISCOVERY_PATH,
    INVOKE_PREFIX,
    KEYS_PATH,
    Authority,
    Calls,
    ControlApi,
    DeclaredRoutes,
    Identity,
    NamedCalls,
    Nowhere,
    OwnNames,
    RouteTable,
    WebHooks,
)
from casemate.front.calls import Take
from casemate.model.http import HttpRequest, HttpResponse
from casemate.seal import Seal
from casemate.triggers.hooks import HOOKS_PREFIX
from support.core import MemoryStore, TwoTokens

ISSUER = "https://node.test"


class Room:
    """A dispatcher that has room."""

    crowded = False


class Front:
    """A route table; it tells what it was asked for."""

    def __init__(
        self,
        take: Take,
        *,
        catalogue: Catalogue | None = None,
        accounts: TwoTokens | None = None,
        store: MemoryStore | None = None,
        dispatcher: Any = Room,
        refusals: Any = None,
        vault: Any = None,
        tls: Any = None,
        hooks: Callable[[HttpRequest], Awaitable[HttpResponse]] | None = None,
        host_names: tuple[str, ...] = (),
    ) -> None:
        self.catalogue = catalogue or Catalogue()
        self.accounts = accounts or TwoTokens()
        self.store = store or MemoryStore()
        self.api: list[tuple[HttpRequest, Mapping[str, object]]] = []
        self.hooked: list[HttpRequest] = []
        self.credentials: list[tuple[str, str, str]] = []
        seal = Seal(self.store)  # type: ignore[arg-type]
        self.nowhere = Nowhere(self.accounts, seal, self.store.deny)
        calls = Calls(self.catalogue, dispatcher, refusals, seal, take)
        identity = Identity(vault, ISSUER, self.nowhere)
        self.table = RouteTable(
            self.accounts,
            at={
                KEYS_PATH: identity,
                DISCOVERY_PATH: identity,
                AUTHORITY_PATH: Authority(tls, self.nowhere),
            },
            below={
                INVOKE_PREFIX: NamedCalls(self.catalogue, calls, self.nowhere),
                API_PREFIX: ControlApi(self._ask_api),
                HOOKS_PREFIX: WebHooks(hooks or self._hook),
            },
            others=DeclaredRoutes(self.catalogue, calls, self.nowhere),
            on_credential=lambda *seen: self.credentials.append(seen),
            names=OwnNames(host_names, self.catalogue.has_host, self.nowhere.malformed)
            if host_names
            else None,
        )

    async def _ask_api(
        self, request: HttpRequest, more: Mapping[str, object] | None = None
    ) -> HttpResponse:
        self.api.append((request, more or {}))
        return HttpResponse(200, (), b"api")

    async def _hook(self, request: HttpRequest) -> HttpResponse:
        self.hooked.append(request)
        return self.nowhere.no_hook(request, recorded=False)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer a request as the server has it answered."""
        found = self.table.find(request.head)
        return found if isinstance(found, HttpResponse) else await found.answer(request)

    def limit(self, request: HttpRequest) -> int:
        """Return how large the body may be."""
        found = self.table.find(request.head)
        assert not isinstance(found, HttpResponse), found
        return found.limit
