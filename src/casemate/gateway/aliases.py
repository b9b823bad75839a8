"""Which versions aliases lead to: pointed, tried for a time, gone back, rolled back."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from casemate.admission import Catalogue
from casemate.gateway import changes
from casemate.gateway.deploy_decisions import widening_denied
from casemate.gateway.deployed_state import DeployedState
from casemate.gateway.ready_instances import ReadyInstances
from casemate.gateway.stable import require_stable_before
from casemate.gateway.trials import Trials, require_way_back
from casemate.gateway.turns import Turns
from casemate.gateway.ways_back import live_lately, widening_of
from casemate.model.deployment import LIVE, Alias, Version
from casemate.model.errors import ConflictError
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact
from casemate.model.principal import Action
from casemate.model.still import require_still
from casemate.operations.declaration import Operation
from casemate.operations.deployments import ShowAliasHistory
from casemate.operations.functions import MAX_ALIASES, SetAlias, Target
from casemate.operations.trials import EndTrial, StartTrial
from casemate.store.interface import Store

_MAX_HISTORY = 1000
"""States of an alias that a rollback looks at."""


class Aliases:
    """Points them, each change in its turn. Methods are those of `casemate.api.control.Control`."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        state: DeployedState,
        turns: Turns,
        ready: ReadyInstances,
        happened: Callable[[Fact], None],
        require_movable: Callable[[str, str], None],
    ) -> None:
        """Act on these; `require_movable` raises ConflictError for what is not to be moved."""
        self._store = store
        self._catalogue = catalogue
        self._state = state
        self._turns = turns
        self._ready = ready
        self._happened = happened
        self._require_movable = require_movable
        self._trials = Trials(self._lapse)
        state.on_functions = self._trials.follow

    def close(self) -> None:
        """End no more trials: they end after the next start."""
        self._trials.close()

    async def set_alias(
        self,
        operation: SetAlias,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        async with self._turns.change(operation.project):
            require_still()
            return await self._point(operation, by, approve=approve)

    async def _point(self, operation: SetAlias, by: Actor, *, approve: bool) -> Alias:
        """Point an alias, unless another function has taken a route that would come back."""

        async def decide() -> Operation[Alias]:
            self._require_movable(operation.project, operation.function)
            found = await self._state.function(operation.project, operation.function)
            names = {alias.name for alias in found.aliases} | {operation.name}
            if len(names) > MAX_ALIASES:
                raise ConflictError(
                    f"{operation.project}/{operation.function} has {len(names) - 1} aliases, "
                    f"expected at most {MAX_ALIASES}.",
                    next_step="Point one that there is at these versions.",
                )
            if operation.name == LIVE:
                numbers = {target.version for target in operation.targets if target.weight > 0}
                pointed = [version for version in found.versions if version.number in numbers]
                if pointed:  # the newest of them declares the routes; the store refuses missing
                    self._require_own(max(pointed, key=lambda version: version.number))
                if not approve:
                    await self._require_granted(pointed, by)
                weights = {target.version: target.weight for target in operation.targets}
                self._ready.require_room([(one, weights[one.number]) for one in pointed])
            return operation

        return await self._moved(decide, by)

    async def _require_granted(self, wanted: Sequence[Version], by: Actor) -> None:
        """Raise WideningError, and record it, for a version that would widen what is granted."""
        if not wanted:
            return
        project, function = wanted[0].project, wanted[0].function
        live = self._catalogue.most_live(project, function)
        if widening_of(live, wanted) is None:
            return
        lately = live_lately(await self._live_history(project, function), time.time())
        left = [version for version in wanted if version.number not in lately]
        if (found := widening_of(live, left)) is not None:
            version, error = found
            self._happened(widening_denied(version, error, Action.FUNCTION_ALIAS, by))
            raise error

    def _require_own(self, version: Version) -> None:
        """Refuse a version that declares what another function has."""
        self._catalogue.check_routes(version.project, version.function, version)
        self._catalogue.check_consumers(version.project, version.function, version)

    async def start_trial(
        self,
        operation: StartTrial,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        project, function = operation.project, operation.function

        async def decide() -> Operation[Alias]:
            self._require_movable(project, function)
            found = await self._state.function(project, function)
            tried = next((v for v in found.versions if v.number == operation.version), None)
            now = self._catalogue.most_live(project, function)
            if tried is not None and now is not None and now.number != tried.number:
                require_way_back(now, tried.spec, tried.number)
                if not approve:
                    await self._require_granted([tried], by)
                self._require_own(max((now, tried), key=lambda version: version.number))
                weight = operation.terms.weight
                self._ready.require_room([(now, 100 - weight), (tried, weight)])
            return operation

        async with self._turns.change(project):
            require_still()
            return await self._moved(decide, by, changes.BEGUN)

    async def end_trial(self, operation: EndTrial, *, by: Actor) -> Alias:
        """See Control."""

        async def decide() -> Operation[Alias]:
            self._require_movable(operation.project, operation.function)
            found = await self._state.function(operation.project, operation.function)
            tried = next((v for v in found.versions if v.number == operation.version), None)
            if operation.promote and tried is not None:
                self._require_own(tried)
                self._ready.require_room([(tried, 100)])
            return operation

        async with self._turns.change(operation.project):
            require_still()
            why = changes.PROMOTED if operation.promote else changes.GONE_BACK
            return await self._moved(decide, by, why)

    async def _lapse(self, alias: Alias) -> None:
        """End a trial whose time is over."""
        if alias.trial is None:
            return
        operation = EndTrial(
            project=alias.project,
            function=alias.function,
            version=alias.trial.version,
            since=alias.changed_at,
            promote=False,
        )

        async def decide() -> Operation[Alias]:
            return operation

        async with self._turns.changing:
            try:
                await self._moved(decide, Actor("", NOT_BY_NETWORK), changes.LAPSED)
            except ConflictError:
                await self._state.take_over()  # what is stored is not what was taken over
                raise

    async def _moved(
        self, decide: Callable[[], Awaitable[Operation[Alias]]], by: Actor, why: str = ""
    ) -> Alias:
        async with self._state.loading:
            alias = await self._state.make(decide)
            before = self._catalogue.most_live(alias.project, alias.function)
        self._happened(changes.moved(alias, by, why))
        await self._state.take_over()
        now = self._catalogue.most_live(alias.project, alias.function)
        if before is not None and now is not None:
            for changed in changes.triggers(before.spec, now, by):
                self._happened(changed)
        return alias

    async def rollback(
        self,
        project: str,
        function: str,
        to: int | None,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        async with self._turns.change(project):
            require_still()
            if to is None:
                to = await self._stable_before(project, function)
            targets = (Target(version=to, weight=100),)
            wanted = SetAlias(project=project, function=function, name=LIVE, targets=targets)
            return await self._point(wanted, by, approve=approve)

    async def stable_before(self, project: str, function: str) -> int:
        """Return the version that a rollback would go to. Raises ConflictError."""
        async with self._turns.changing:
            return await self._stable_before(project, function)

    async def _stable_before(self, project: str, function: str) -> int:
        found = await self._state.function(project, function)
        history = await self._live_history(project, function)
        numbers = {version.number for version in found.versions}
        return require_stable_before(f"{project}/{function}", history, numbers)

    async def _live_history(self, project: str, function: str) -> tuple[Alias, ...]:
        return await self._store.read(
            ShowAliasHistory(project=project, function=function, name=LIVE, limit=_MAX_HISTORY)
        )
