"""Deploying bundles: each is checked and started once before any of them is live; all or none."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

from casemate.admission import Catalogue
from casemate.api.control import Deployment, StartFailedError
from casemate.data.interface import ProjectData
from casemate.dispatch import Dispatcher
from casemate.gateway import changes, start_advice
from casemate.gateway.bundles import BundleStore
from casemate.gateway.deploy_decisions import DeployDecisions, about
from casemate.gateway.deployed_state import DeployedState
from casemate.gateway.foreseeing import require_runnable
from casemate.gateway.forgetting import Declaring
from casemate.gateway.start_places import StartPlace
from casemate.gateway.vouched import Vouching, VouchingStamp
from casemate.manifest import require_packages
from casemate.model.bundle import BundleManifest
from casemate.model.deployment import LIVE, Alias, NewVersion, TrialTerms, Version
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.facts import (
    Actor,
    Fact,
)
from casemate.model.grant import Grant, Resources
from casemate.model.processes import GatewayConfig
from casemate.model.still import require_still
from casemate.operations.deployments import KeepVersions, ShowAliasHistory
from casemate.operations.inboxes import GiveUpInbox
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.opening import ImportFailedError
from casemate.sandbox.zygote import Zygote
from casemate.store.interface import Store
from casemate.supply import Admitted
from casemate.vulnerabilities import Gate, Packages, Stamp, read_packages

_log = logging.getLogger(__name__)
MAX_START_SECONDS = 1800.0
"""For all functions of one deploy, one after the other: so long it keeps others' from starting."""
Turn = Callable[[], AbstractAsyncContextManager[None]]
"""Within it one change alone is made."""


class _Tentative(NamedTuple):
    """What a deploy would make of a bundle."""

    version: Version
    resources: Resources
    forgets: tuple[Grant, ...]
    packages: Packages
    admitted: Admitted
    manifest: BundleManifest
    vouched_by: VouchingStamp


class Deploying:
    """Makes bundles live. Each is started beside all other changes, and made live in turn."""

    def __init__(
        self,
        config: GatewayConfig,
        store: Store,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        client: SandboxClient,
        bundles: BundleStore,
        vouching: Vouching,
        data: ProjectData,
        gate: Gate,
        decisions: DeployDecisions,
        state: DeployedState,
        *,
        happened: Callable[[Fact], None],
        approves_alone: changes.ApprovesAlone,
    ) -> None:
        """Act on these."""
        self._decisions = decisions
        self._config = config
        self._store = store
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._client = client
        self._bundles = bundles
        self._vouching = vouching
        self._data = data
        self._declaring = Declaring(data)
        self._gate = gate
        self._happened = happened
        self._approves_alone = approves_alone
        self._state = state

    async def start_once(self, wanted: Deployment, by: Actor, place: StartPlace) -> None:
        """Start a bundle's function and end it again."""
        tentative = await self._tentative(wanted, by)
        await self._gate.require(wanted.project, wanted.function, tentative.packages, by)
        async with _in_time(place, 1):
            zygote = await self._start(tentative.version)
        zygote.close()

    async def deploy(
        self,
        wanted: Sequence[Deployment],
        *,
        approve: bool,
        trial: TrialTerms | None = None,
        by: Actor,
        turn: Turn,
        place: StartPlace,
    ) -> tuple[Version, ...]:
        """Add a version for each and point `live` at it: all in one transaction, or none.

        With `trial` each has a share of the calls for a time, beside the version that is live.
        Raises what the first that cannot be deployed is refused for; `about` names it. What was
        decided before the functions were started, which can take minutes, is decided once more,
        within `turn`: nothing else changes meanwhile. While they start, `place` may be ended.
        """
        found = await self._all_tentative(wanted, by)
        admit = partial(self._admit, wanted, approve=approve, trial=trial, by=by)
        checked = admit(found)
        news: tuple[NewVersion, ...] = ()
        before: list[Version | None] = []
        judged_by = await self._judge(checked, by)
        with ExitStack() as undo:
            async with _in_time(place, len(checked)):
                zygotes = [await self._prepare(*one, undo) for one in checked]
            async with turn():
                found = await self._looked_at_again(checked, found, judged_by, by)

                async def decide() -> KeepVersions:
                    nonlocal news, before
                    # It may have been said, or become another's, while they were started.
                    require_still()
                    news = tuple(new for new, _ in admit(found))
                    before = [self._catalogue.most_live(new.project, new.function) for new in news]
                    for new, was in zip(news, before, strict=True):
                        if was is None:
                            # A node may have kept events before it knew that one was removed.
                            await self.give_up(new.project, new.function)
                    return KeepVersions(versions=news, by=by.principal)

                left = [each for each in found if not await self._declared(each)]
                async with self._state.loading:
                    versions = await self._state.make(decide)
                    undo.pop_all()
                    self._adopt(versions, zygotes)
                for each in left:
                    await self._declaring.let_go(each.version.project, each.resources)
        self._vouching.look_ahead(versions)
        for version, new, was in zip(versions, news, before, strict=True):
            for fact in changes.deployed(version, new, by, self._approves_alone):
                self._happened(fact)
            if trial is not None:
                self._happened(changes.moved(await self._live(version), by, changes.BEGUN))
                continue  # what is live invokes it
            for changed in changes.triggers(was.spec if was is not None else None, version, by):
                self._happened(changed)
        return versions

    async def give_up(self, project: str, function: str) -> None:
        """Give up what waits for a function that is removed, before another has its name."""
        number = await self._data.change(GiveUpInbox(project=project, function=function))
        if number:
            _log.warning(
                "%d events waited for %s/%s, which is removed: they are dead letters",
                number, project, function,
            )  # fmt: skip

    async def require_allowed(
        self,
        wanted: Sequence[Deployment],
        *,
        approve: bool,
        trial: TrialTerms | None = None,
        by: Actor,
    ) -> None:
        """Refuse what manifests and what is in memory tell already.

        Before a place to start in is waited for, files are read, an SBOM is made: it costs little
        to say no.
        """
        manifests = []
        for one in wanted:
            with about(one):
                manifests.append(await self._manifest(one))
        versions = [
            _version(one, manifest) for one, manifest in zip(wanted, manifests, strict=True)
        ]
        forgets = [
            await self._declaring.forgets(one.project, manifest.resources)
            for one, manifest in zip(wanted, manifests, strict=True)
        ]
        self._decisions.decide(wanted, versions, forgets, approve=approve, trial=trial, by=by)

    def _admit(
        self,
        wanted: Sequence[Deployment],
        found: Sequence[_Tentative],
        *,
        approve: bool,
        trial: TrialTerms | None,
        by: Actor,
    ) -> list[tuple[NewVersion, _Tentative]]:
        """Decide on what is in memory, each as if the others were live already."""
        together = [each.version for each in found]
        forgets = [each.forgets for each in found]
        differences = self._decisions.decide(
            wanted, together, forgets, approve=approve, trial=trial, by=by
        )
        return [
            (
                NewVersion(
                    project=one.project,
                    function=one.function,
                    digest=one.digest,
                    spec=tentative.version.spec,
                    approved=difference.widening,
                    vouchers=tentative.admitted.vouchers,
                    needed=tentative.admitted.needed,
                    trial=trial,
                ),
                tentative,
            )
            for one, tentative, difference in zip(wanted, found, differences, strict=True)
        ]

    async def _looked_at_again(
        self,
        checked: Sequence[tuple[NewVersion, _Tentative]],
        found: Sequence[_Tentative],
        judged_by: Stamp,
        by: Actor,
    ) -> list[_Tentative]:
        """Judge once more what may be otherwise since the functions were begun to be started."""
        for new, _ in checked:
            # What nobody needed may have been removed, as the last function of its digest was.
            if not await self._bundles.is_kept(new.digest):
                raise _no_bundle(new)
        if self._gate.stamp() != judged_by:  # what was imported meanwhile counts as well
            await self._judge(checked, by)
        anew = await self._vouched_anew(found, by)
        for new, tentative in checked:
            await self._gate.inventory.put(new.digest, tentative.packages)
        return anew

    async def _live(self, version: Version) -> Alias:
        """Return where `live` of a version's function leads to now."""
        project, function = version.project, version.function
        asked = ShowAliasHistory(project=project, function=function, name=LIVE, limit=1)
        return (await self._store.read(asked))[0]

    async def _judge(self, checked: Sequence[tuple[NewVersion, _Tentative]], by: Actor) -> Stamp:
        """Refuse known holes and licences of packages; return what that was decided by."""
        stamp = self._gate.stamp()
        for new, tentative in checked:
            with about(new):
                await self._gate.require(new.project, new.function, tentative.packages, by)
        return stamp

    async def _all_tentative(self, wanted: Sequence[Deployment], by: Actor) -> list[_Tentative]:
        found = []
        for one in wanted:
            with about(one):
                found.append(await self._tentative(one, by))
        return found

    def _adopt(self, versions: Sequence[Version], zygotes: Sequence[Zygote]) -> None:
        for version, zygote in zip(versions, zygotes, strict=True):
            # The first call finds the zygote that has just shown that the handler imports. Only
            # now, when it is kept what was approved and by whom, does it reach the network.
            zygote.version = version
            zygote.let_out()
            self._dispatcher.adopt(version, zygote)

    async def _prepare(self, new: NewVersion, tentative: _Tentative, undo: ExitStack) -> Zygote:
        """Start a function once; `undo` ends it again."""
        with about(new):
            zygote = await self._start(tentative.version)
            undo.callback(zygote.close)
            require_still()  # it took as long as the function says
        return zygote

    async def _declared(self, each: _Tentative) -> bool:
        """Have what it declares, and tell whether that is all: what is forgotten comes after it."""
        with about(each.version):
            return await self._declaring.ensure(each.version.project, each.resources)

    async def _tentative(self, wanted: Deployment, by: Actor) -> _Tentative:
        """Return the version that a deploy would make, checked against what the node can run.

        Somebody vouches for its bundle by whose word `by` may deploy it.
        """
        manifest = await self._manifest(wanted)
        stamp = self._vouching.stamp(wanted.project)
        admitted = await self._vouching.require(manifest, by)
        spec = manifest.function
        found = await self._bundles.read(wanted.digest, read_packages)
        require_packages(spec.name, spec.packages, {each.name for each in found.packages})
        return _Tentative(
            version=_version(wanted, manifest),
            resources=manifest.resources,
            forgets=await self._declaring.forgets(wanted.project, manifest.resources),
            packages=found,
            admitted=admitted,
            manifest=manifest,
            vouched_by=stamp,
        )

    async def _manifest(self, wanted: Deployment) -> BundleManifest:
        """Return the manifest of a bundle that this node can run."""
        if not await self._bundles.is_known(wanted.digest):
            raise _no_bundle(wanted)
        manifest = await self._bundles.manifest(wanted.digest)
        spec = manifest.function
        if (manifest.project, spec.name) != (wanted.project, wanted.function):
            # Whose it is instead is not for who only knows its digest.
            raise _no_bundle(wanted)
        require_runnable(self._config, spec, manifest.resources)
        return manifest

    async def _vouched_anew(self, found: Sequence[_Tentative], by: Actor) -> list[_Tentative]:
        """Ask once more on whose word each is deployed, where keys or rules have changed since."""
        anew = []
        for each in found:
            stamp = self._vouching.stamp(each.version.project)
            if stamp != each.vouched_by:
                with about(each.version):
                    admitted = await self._vouching.require(each.manifest, by)
                each = each._replace(admitted=admitted, vouched_by=stamp)  # noqa: PLW2901
            # Another deploy may have declared them otherwise, or a message have come.
            forgets = await self._declaring.forgets(each.version.project, each.resources)
            anew.append(each._replace(forgets=forgets))
        return anew

    async def _start(self, version: Version) -> Zygote:
        try:
            return await self._client.open(version, approved=False)
        except ImportFailedError as error:
            raise StartFailedError(
                f"{version.project}/{version.function} cannot be started: "
                f"{error.error.type}: {error.error.message}",
                type=error.error.type,
                message=error.error.message,
                trace=error.error.trace + error.output,
                next_step=start_advice.next_step(error.error.type, version.function),
            ) from error


def _version(wanted: Deployment, manifest: BundleManifest) -> Version:
    """Return the version that a deploy would make."""
    return Version(
        project=wanted.project,
        function=wanted.function,
        number=0,
        digest=wanted.digest,
        spec=manifest.function,
        created_at=time.time(),
        created_by="",
    )


def _no_bundle(wanted: Deployment | NewVersion) -> NotFoundError:
    return NotFoundError(
        f"This node has no bundle {wanted.digest} of {wanted.project}/{wanted.function}.",
        next_step="Upload it, and deploy it under the project and name that it was built for.",
    )


@asynccontextmanager
async def _in_time(place: StartPlace, functions: int) -> AsyncIterator[None]:
    """Start functions within. Raises InvalidInputError where that takes too long in all."""
    try:
        async with place.bounded(MAX_START_SECONDS):
            yield
    except TimeoutError:
        raise InvalidInputError(
            f"{functions} functions did not start within {MAX_START_SECONDS:.0f} s.",
            next_step="Deploy fewer at a time: casemate deploy FUNCTION",
        ) from None
