"""What is deployed on a node, as it is stored: held in memory, decided on, and taken over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from casemate.admission import Catalogue
from casemate.delivery import Delivery
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.gateway.quarantines import KILLS, QUARANTINES, Quarantines
from casemate.gateway.ready_instances import ReadyInstances
from casemate.gateway.route_claims import CLAIMS_VALUE, read_claims, write_claims
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import NoFunctionError
from casemate.model.route import RouteClaim
from casemate.model.still import require_still
from casemate.nodes import Decisions
from casemate.operations.declaration import Operation
from casemate.operations.functions import ListFunctions
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store

AnswerT = TypeVar("AnswerT")
TOPICS = frozenset(
    {
        *("version", "alias_state", "alias_target"),
        *(f"value {CLAIMS_VALUE}", f"value {QUARANTINES}", f"value {KILLS}"),
    }
)
"""Of what is stored, what is held here in memory."""


class DeployedState:
    """Functions with their versions and aliases, claims of routes, and quarantines."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        ready: ReadyInstances,
        subscriptions: Subscriptions,
        delivery: Delivery,
        decisions: Decisions,
        on_live: Callable[[], None],
    ) -> None:
        """Read `store`, and have the others follow it.

        `on_live` is called once what is live has changed and is subscribed.
        """
        self._store = store
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._ready = ready
        self._subscriptions, self._delivery = subscriptions, delivery
        self._decisions = decisions
        self._on_live = on_live
        self.on_functions: Callable[[Sequence[DeployedFunction]], None] = lambda _read: None
        """Called with what was read."""
        self.quarantines = Quarantines(store)
        self.loading = asyncio.Lock()
        """Held while what is stored is taken over, and while it is decided on; seldom for long."""
        self._stopping: Counter[tuple[str, str]] = Counter()
        """Functions whose quarantine waits for another change, by how many times."""

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """See Control."""
        stored = (await self._store.read(ListFunctions())).functions
        return self.quarantines.told(self._ready.told(stored))

    async def function(self, project: str, name: str) -> DeployedFunction:
        """See Control."""
        for function in await self.functions():
            if (function.project, function.name) == (project, name):
                return function
        raise NoFunctionError(project, name)

    async def load(self) -> None:
        """Read what is stored; nothing runs by it before `start`."""
        claims = await self._read_claims()
        await self.quarantines.load()
        self.quarantines.take_kills()  # of a life before this one
        await self._read(claims)

    async def start(self) -> None:
        """Have what is live run, and get what is kept for it."""
        self._ready.follow()
        await self._subscriptions.start()
        self._delivery.start()
        self._on_live()

    async def reload(self) -> None:
        """Take over what other nodes have changed; at any time. Raises StoreError.

        A deploy that is under way does not keep it waiting: it decides again at its end.
        """
        async with self.loading:
            await self._renew()

    async def take_over(self) -> None:
        """Take over what this node has changed."""
        async with self.loading:
            await self._take_over(self._catalogue.claims)

    async def make(self, decide: Callable[[], Awaitable[Operation[AnswerT]]]) -> AnswerT:
        """Make the change that is decided on functions, claims and quarantines.

        Whether who asks may do it is decided once more, on what there is read for it. `loading` is
        held.
        """

        async def still() -> Operation[AnswerT]:
            require_still()
            return await decide()

        return await self._decisions.make(still, self._renew, TOPICS)

    async def claim(self, claim: RouteClaim) -> None:
        """Give a project routes, in place of what it had. Raises ConflictError."""
        claims: tuple[RouteClaim, ...] = ()

        async def decide() -> KeepNodeValue:
            nonlocal claims
            self._catalogue.check_claim(claim)
            others = [c for c in self._catalogue.claims if c.project != claim.project]
            mine = (claim,) if claim.prefixes or claim.hosts else ()
            claims = tuple(sorted((*others, *mine), key=lambda one: one.project))
            return KeepNodeValue(name=CLAIMS_VALUE, value=write_claims(claims))

        await self.make(decide)
        self._catalogue.replace(await self.functions(), claims)

    @contextmanager
    def stopping(self, project: str, function: str) -> Iterator[None]:
        """Have a function take no calls within the block, in which its quarantine waits its turn.

        A deploy that is under way may take as long as some function takes to start.
        """
        self._stopping[project, function] += 1
        self._contain()
        try:
            yield
        finally:
            self._stopping -= Counter(((project, function),))
            self._contain()

    def _contain(self) -> None:
        """Have functions take no calls that are in quarantine, or about to be."""
        self._dispatcher.contain(self.quarantines.names | frozenset(self._stopping))

    async def _read_claims(self) -> tuple[RouteClaim, ...]:
        return read_claims(await self._store.read(ReadNodeValue(name=CLAIMS_VALUE)))

    async def _renew(self) -> None:
        """Read again what is decided on; `loading` is held."""
        claims = await self._read_claims()
        await self.quarantines.load()
        await self._take_over(claims)
        self.kill()

    def kill(self) -> None:
        """End the calls of functions that were put in quarantine so, by whichever node."""
        for name in self.quarantines.take_kills():
            self._dispatcher.kill(*name)

    async def _read(self, claims: tuple[RouteClaim, ...]) -> tuple[DeployedFunction, ...]:
        self._contain()
        functions = await self.functions()
        self._catalogue.replace(functions, claims)
        self.on_functions(functions)
        return functions

    async def _take_over(self, claims: tuple[RouteClaim, ...]) -> None:
        """Take over what is stored, and let versions end that no alias leads to any more."""
        keep = {
            (f.project, f.name, target.version)
            for f in await self._read(claims)
            for alias in f.aliases
            for target in alias.targets
            if target.weight > 0
        }
        self._dispatcher.retire(keep)
        self._ready.follow()
        await self._subscriptions.update()
        self._delivery.update()
        self._on_live()
