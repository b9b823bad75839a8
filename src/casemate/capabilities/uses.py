"""Which grants were used, counted in memory and written now and then."""

from __future__ import annotations

import asyncio
import logging

from casemate.facts import FactStream
from casemate.model.denial import GrantUse, PackageUse
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.facts import GrantUsed, PackageActed
from casemate.model.principal import PrincipalKind
from casemate.operations.grants import CountUses
from casemate.store.interface import Store

_FLUSH_SECONDS = 1.0
_MAX_PENDING = 50_000
_PACKAGE = "package "
"""Beginning of what stands for a grant where a package did something: no kind of grants is that."""
_FUNCTION = PrincipalKind.FUNCTION.value
_log = logging.getLogger(__name__)

_Key = tuple[str, str, int, str, str, str]


def use_of(
    version: Version,
    grant: str,
    action: str,
    prefix: str = "",
    invocation: str = "",
    *,
    at: float,
    count: int = 1,
) -> GrantUsed:
    """Return that a version used a grant; several of its invocations did if none is named."""
    project, function = version.project, version.function
    return GrantUsed(
        at=at,
        by=f"{_FUNCTION}:{project}/{function}",
        project=project,
        function=function,
        version=version.number,
        invocation=invocation,
        grant=grant,
        action=action,
        prefix=prefix,
        count=count,
    )


def is_of_package(use: GrantUse) -> bool:
    """Tell whether it is no grant that was used, but what a package did."""
    return use.grant.startswith(_PACKAGE)


def package_use(use: GrantUse) -> PackageUse:
    """Return what a package did."""
    return PackageUse(
        package=use.grant.removeprefix(_PACKAGE),
        act=use.action,
        first_at=use.first_at,
        last_at=use.last_at,
        count=use.count,
    )


class UseCounter:
    """Counts what `GrantUsed` tells by version, grant, action and prefix. On the loop only."""

    def __init__(self, store: Store) -> None:
        """Write to `store`."""
        self._store = store
        self._pending: dict[_Key, list[float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._begun: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def listen(self, facts: FactStream) -> None:
        """Count what is told from now on."""
        facts.listen(GrantUsed, self.note)

    def note(self, use: GrantUsed) -> None:
        """Count one use, or several alike."""
        key = (use.project, use.function, use.version, use.grant, use.action, use.prefix)
        self._count(key, use.at, use.count)

    def note_package(self, did: PackageActed) -> None:
        """Count what a package of a bundle did."""
        key = (did.project, did.function, did.version, f"{_PACKAGE}{did.package}", did.act, "")
        self._count(key, did.at, did.count)

    def _count(self, key: _Key, at: float, count: int) -> None:
        counted = self._pending.get(key)
        if counted is not None:
            counted[1] = at
            counted[2] += count
        elif len(self._pending) < _MAX_PENDING:
            self._pending[key] = [at, at, float(count)]
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_FLUSH_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._begun = asyncio.ensure_future(self.flush())

    async def flush(self) -> None:
        """Return once what was counted before is written; what cannot be is counted again."""
        # Who finds nothing pending waits for the write that another call took it into.
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        pending, self._pending = self._pending, {}
        if not pending:
            return
        uses = tuple(
            GrantUse(
                project=project,
                function=function,
                version=version,
                grant=grant,
                action=action,
                prefix=prefix,
                first_at=first,
                last_at=last,
                count=int(count),
            )
            for (project, function, version, grant, action, prefix), (
                first,
                last,
                count,
            ) in pending.items()
        )
        try:
            await self._store.change(CountUses(uses=uses))
        except CasemateError as error:
            _log.warning("uses of grants wait in memory: %s", error)
            for key, counted in pending.items():
                now = self._pending.setdefault(key, counted)
                if now is not counted:
                    now[0] = counted[0]
                    now[2] += counted[2]

    def close(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
