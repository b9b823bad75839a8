"""Functions as the audit of the node looks at them: what they go without, what they never used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from casemate.admission import Catalogue
from casemate.api.control import Control
from casemate.model.denial import GrantUse
from casemate.model.deployment import DeployedFunction, Version
from casemate.model.function import FunctionSpec, GuardMode, Isolation
from casemate.model.grant import Grant
from casemate.model.signing import NODE_KEY
from casemate.node_audit.state import FunctionState, NodeState
from casemate.operations.grants import ListUses
from casemate.store.interface import Store
from casemate.supply import Signatures

MAX_FUNCTIONS = 2_000
"""Whose uses and signatures are looked at; of the others it is said that they were not."""


CLOSE_SECONDS = 6.0
"""For so long that is done, then no more."""


class FunctionStates:
    """Tells how the functions of one node are."""

    def __init__(
        self,
        control: Control,
        catalogue: Catalogue,
        store: Store,
        signatures: Signatures,
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        """Ask these; `flush` writes what is noted of uses of grants."""
        self._control = control
        self._catalogue = catalogue
        self._store = store
        self._signatures = signatures
        self._flush = flush

    async def look(self, _state: NodeState) -> dict[str, Any]:
        """Return those that are live, which of them are looked at closely, by name."""
        await self._flush()
        until = time.monotonic() + CLOSE_SECONDS
        found: list[FunctionState] = []
        for function in await self._control.functions():
            version = self._catalogue.most_live(function.project, function.name)
            if version is not None:
                closely = len(found) < MAX_FUNCTIONS and time.monotonic() < until
                found.append(await self._state(function, version, closely=closely))
                await asyncio.sleep(0)
        return {"functions": tuple(found)}

    async def _state(
        self, function: DeployedFunction, version: Version, *, closely: bool
    ) -> FunctionState:
        unused: tuple[str, ...] | None = None
        vouched = True
        if closely:
            unused = ()
            if version.spec.grants:
                uses = await self._store.read(
                    ListUses(
                        project=function.project, function=function.name, version=version.number
                    )
                )
                unused = tuple(unused_grants(version.spec.grants, uses))
            attested = await self._signatures.of(version.digest)
            vouched = any(one.principal != NODE_KEY for one in attested) or not attested
        closure = self._catalogue.closure(function.project, function.name, version)
        return FunctionState(
            project=function.project,
            name=function.name,
            version=version.number,
            deployed_at=version.created_at,
            python=version.spec.python,
            public=closure.public,
            quarantined="" if function.quarantine is None else function.quarantine.reason,
            exceptions=tuple(exceptions_of(version.spec)),
            unused=unused,
            vouched=vouched,
        )


def unused_grants(grants: Iterable[Grant], uses: Iterable[GrantUse]) -> Iterator[str]:
    """Yield each action of a grant that was never used."""
    used = {(one.grant, one.action) for one in uses}
    for grant in grants:
        for action in grant.actions:
            if (grant.text, action) not in used:
                yield f"{grant.text} {action}"


def exceptions_of(spec: FunctionSpec) -> Iterator[str]:
    """Yield each protection that a manifest goes without, as a clause, and why in quotes."""
    for guard in spec.guard:
        if guard.mode is GuardMode.BLOCK:
            continue  # as everywhere
        where = f" at {guard.location}" if guard.location else ""
        yield f'the guard only reports {guard.sink}{where} ("{guard.reason}")'
    for error in spec.errors:
        where = "" if error.place == "*" else f" of {error.place}"
        what = "what is sealed elsewhere" if error.what == "*" else error.what
        yield f'answers{where} may show {what} ("{error.reason}")'
    for unmasked in spec.logs.unmasked:
        yield f'logs show {unmasked.kind} unmasked ("{unmasked.reason}")'
    for grant in spec.grants:
        if grant.exception:
            yield f'{grant.text} is granted widely ("{grant.exception}")'
    if spec.isolation is Isolation.INSTANCE:
        yield "one process serves many calls (isolation = instance)"
