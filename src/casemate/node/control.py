"""The control service: what owners do with a node, behind the control API."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from casemate import __version__
from casemate.admission import Catalogue
from casemate.admission.grants import GrantDifference, WideningError, require_approval
from casemate.api.control import NodeStatus, StartFailedError
from casemate.capabilities import UseCounter
from casemate.data.interface import ProjectData
from casemate.delivery import Delivery
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.manifest import check_received
from casemate.model.denial import Denial, DenialKind, GrantUse
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Resources
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.route import RouteClaim
from casemate.node.bundles import BundleStore
from casemate.node.options import GatewayConfig
from casemate.node.route_claims import CLAIMS_VALUE, read_claims, write_claims
from casemate.sandbox.client import ImportFailedError, SandboxClient, Zygote
from casemate.seal import Redactor
from casemate.store.denials import DenialRecorder
from casemate.store.interface import Store


class NodeControl:
    """Implements `casemate.api.control.Control`. Changes are made one after the other."""

    def __init__(
        self,
        *,
        config: GatewayConfig,
        store: Store,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        client: SandboxClient,
        bundles: BundleStore,
        data: ProjectData,
        uses: UseCounter,
        redactor: Redactor,
        denials: DenialRecorder,
        subscriptions: Subscriptions,
        delivery: Delivery,
    ) -> None:
        """Act on these."""
        self._config = config
        self._store = store
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._client = client
        self._bundles = bundles
        self._data = data
        self._uses = uses
        self._redactor = redactor
        self._denials = denials
        self._subscriptions = subscriptions
        self._delivery = delivery
        self._changing = asyncio.Lock()
        self.stopping = False
        """True ends followed logs, which would otherwise hold up the end of the node."""
        self.live_changed: Callable[[], None] = lambda: None
        """Called once what is live has changed and is subscribed: for what follows it besides."""

    async def load(self) -> None:
        """Read what is stored."""
        claims = read_claims(await self._store.node_value(CLAIMS_VALUE))
        self._catalogue.replace(await self._store.functions(), claims)
        await self._bundles.load(self._catalogue.digests())
        for minor in {str(v.spec.python) for v in self._catalogue.live_versions()}:
            if minor in self._config.pythons:
                self._client.prepare(minor)
        await self._subscriptions.start()
        self._delivery.start()
        self.live_changed()

    # -- whose routes are whose --

    async def route_claims(self) -> tuple[RouteClaim, ...]:
        """See Control."""
        return self._catalogue.claims

    async def claim_routes(self, claim: RouteClaim, *, by: str) -> None:
        """See Control."""
        async with self._changing:
            self._catalogue.check_claim(claim)
            others = [c for c in self._catalogue.claims if c.project != claim.project]
            mine = (claim,) if claim.prefixes or claim.hosts else ()
            claims = tuple(sorted((*others, *mine), key=lambda one: one.project))
            await self._store.set_node_value(CLAIMS_VALUE, write_claims(claims))
            self._catalogue.replace(await self._store.functions(), claims)

    # -- functions -----------------------------------------------------------------------------

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """See Control."""
        return await self._store.functions()

    async def function(self, project: str, name: str) -> DeployedFunction:
        """See Control."""
        for function in await self._store.functions():
            if (function.project, function.name) == (project, name):
                return function
        raise NotFoundError(f"There is no function {project}/{name}.", next_step="run casemate ls")

    async def remove(self, project: str, function: str, *, by: str) -> None:
        """See Control."""
        async with self._changing:
            unused = await self._store.remove_function(project, function)
            await self._reload()
            for digest in unused:
                await self._bundles.remove(digest)

    async def remove_version(self, project: str, function: str, number: int, *, by: str) -> None:
        """See Control."""
        async with self._changing:
            unused = await self._store.remove_version(project, function, number)
            await self._reload()
            for digest in unused:
                await self._bundles.remove(digest)

    async def _reload(self) -> None:
        """Take over what is stored, and let versions end that no alias leads to any more."""
        functions = await self._store.functions()
        self._catalogue.replace(functions)
        keep = {
            (f.project, f.name, target.version)
            for f in functions
            for alias in f.aliases
            for target in alias.targets
            if target.weight > 0
        }
        self._dispatcher.retire(keep)
        await self._subscriptions.update()
        self._delivery.update()
        self.live_changed()

    # -- bundles and versions ------------------------------------------------------------------

    async def has_bundle(self, digest: str) -> bool:
        """See Control."""
        return await self._bundles.has(digest)

    async def put_bundle(self, digest: str, archive: Path) -> bool:
        """See Control."""
        return await self._bundles.put(digest, archive)

    async def reseal_bundles(self) -> None:
        """See Control."""
        async with self._changing:
            await self._bundles.rekey()

    async def start_once(self, project: str, function: str, digest: str) -> None:
        """See Control."""
        tentative, _ = await self._tentative(project, function, digest)
        zygote = await self._start(tentative)
        zygote.close()

    async def deploy(
        self, project: str, function: str, digest: str, *, approve: bool, by: str
    ) -> Version:
        """See Control."""
        async with self._changing:
            tentative, resources = await self._tentative(project, function, digest)
            self._catalogue.check_routes(project, function, tentative)
            self._catalogue.check_consumers(project, function, tentative)
            difference = self._require_approval(tentative, approve=approve, by=by)
            zygote = await self._start(tentative)
            try:
                await self._data.ensure(project, resources)
                version = await self._store.deploy(
                    project=project,
                    function=function,
                    digest=digest,
                    spec=tentative.spec,
                    created_by=by,
                    approved=difference.widening,
                )
            except BaseException:
                zygote.close()
                raise
            # The first call finds the zygote that has just shown that the handler imports.
            zygote.version = version
            self._dispatcher.adopt(version, zygote)
            await self._reload()
            return version

    def _require_approval(self, tentative: Version, *, approve: bool, by: str) -> GrantDifference:
        """Return what a deploy changes; WideningError, and a record, if it may not."""
        live = self._catalogue.most_live(tentative.project, tentative.function)
        try:
            return require_approval(
                live.spec if live is not None else None, tentative.spec, approve=approve
            )
        except WideningError as error:
            self._denials.deny(
                Denial(
                    at=time.time(),
                    kind=DenialKind.GRANTS,
                    principal=by,
                    action="function:deploy",
                    resource=f"function:{tentative.project}/{tentative.function}",
                    reason=error.message,
                    project=tentative.project,
                    function=tentative.function,
                )
            )
            raise

    async def _tentative(
        self, project: str, function: str, digest: str
    ) -> tuple[Version, Resources]:
        """Return the version that a deploy would make, checked against what the node can run."""
        manifest = await self._bundles.manifest(digest)
        spec = manifest.function
        if (manifest.project, spec.name) != (project, function):
            raise InvalidInputError(
                f"The bundle is of {manifest.project}/{spec.name}, not of {project}/{function}.",
                next_step="deploy it under its own name",
            )
        check_received(spec, manifest.resources)
        self._check_python(spec)
        version = Version(
            project=project,
            function=function,
            number=0,
            digest=digest,
            spec=spec,
            created_at=time.time(),
            created_by="",
        )
        return version, manifest.resources

    def _check_python(self, spec: FunctionSpec) -> None:
        offered = sorted(self._config.pythons)
        if spec.python not in offered:
            raise InvalidInputError(
                f"The bundle was built for Python {spec.python}; this node offers "
                f"{', '.join(offered) or 'none'}.",
                next_step=f"set python in casemate.toml to one of {', '.join(offered)}",
            )

    async def _start(self, version: Version) -> Zygote:
        try:
            return await self._client.open(version)
        except ImportFailedError as error:
            raise StartFailedError(
                f"{version.project}/{version.function} cannot be started: "
                f"{error.error.type}: {error.error.message}",
                type=error.error.type,
                message=error.error.message,
                trace=error.error.trace + error.output,
            ) from error

    async def set_alias(
        self, project: str, function: str, name: str, targets: Sequence[AliasTarget], *, by: str
    ) -> Alias:
        """See Control."""
        async with self._changing:
            return await self._point(project, function, name, targets)

    async def _point(
        self, project: str, function: str, name: str, targets: Sequence[AliasTarget]
    ) -> Alias:
        """Point an alias, unless another function has taken a route that would come back."""
        if name == LIVE:
            found = await self.function(project, function)
            numbers = {target.version for target in targets if target.weight > 0}
            pointed = [version for version in found.versions if version.number in numbers]
            if pointed:  # the newest of them declares the routes; the store refuses missing ones
                newest = max(pointed, key=lambda version: version.number)
                self._catalogue.check_routes(project, function, newest)
                self._catalogue.check_consumers(project, function, newest)
        alias = await self._store.set_alias(project, function, name, targets)
        await self._reload()
        return alias

    async def rollback(self, project: str, function: str, to: int | None, *, by: str) -> Alias:
        """See Control."""
        async with self._changing:
            if to is not None:
                targets: Sequence[AliasTarget] = (AliasTarget(version=to, weight=100),)
            else:
                await self.function(project, function)
                history = await self._store.alias_history(project, function, LIVE, limit=2)
                if len(history) < 2:
                    raise ConflictError(
                        f"{project}/{function} has no earlier state to go back to.",
                        next_step="name the version to go to, see casemate show",
                    )
                targets = history[1].targets
            return await self._point(project, function, LIVE, targets)

    async def _flush(self) -> None:
        self._denials.flush()
        await self._redactor.flush()
        await self._store.flush()

    # -- records -------------------------------------------------------------------------------

    async def invocations(
        self, *, project: str | None, function: str | None, limit: int
    ) -> tuple[InvocationRecord, ...]:
        """See Control."""
        await self._flush()
        return await self._store.invocations(project=project, function=function, limit=limit)

    async def invocation(self, invocation_id: str) -> InvocationRecord:
        """See Control."""
        await self._flush()
        record = await self._store.invocation(invocation_id)
        if record is None:
            raise NotFoundError(
                f"There is no invocation {invocation_id}; records are kept for a limited time.",
                next_step="run casemate invocations to see those there are",
            )
        return record

    async def error(self, error_id: str) -> ErrorRecord:
        """See Control."""
        await self._flush()
        record = await self._store.error(error_id)
        if record is None:
            raise NotFoundError(
                f"There is no error {error_id}; records are kept for a limited time.",
                next_step="run casemate invocations to see what failed lately",
            )
        return record

    async def logs(
        self,
        *,
        project: str | None,
        function: str | None,
        invocation: str | None,
        after: int,
        limit: int,
    ) -> tuple[LogLine, ...]:
        """See Control."""
        if self.stopping:
            raise UnavailableError("The node is stopping.", next_step="try again soon")
        await self._flush()
        return await self._store.logs(
            project=project, function=function, invocation=invocation, after=after, limit=limit
        )

    async def denials(
        self, *, project: str | None, function: str | None, invocation: str | None, limit: int
    ) -> tuple[Denial, ...]:
        """See Control."""
        await self._flush()
        return await self._store.denials(
            project=project, function=function, invocation=invocation, limit=limit
        )

    async def grant_uses(self, project: str, function: str) -> tuple[GrantUse, ...]:
        """See Control."""
        await self._uses.flush()
        return await self._store.uses(project, function)

    # -- the node ------------------------------------------------------------------------------

    async def node_status(self) -> NodeStatus:
        """See Control."""
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return NodeStatus(
            version=__version__,
            started_at=self._config.started_at,
            protections=self._config.protections,
            pythons=tuple(self._config.pythons[m] for m in sorted(self._config.pythons)),
            memory_total=pages * page,
            memory_reserved=self._dispatcher.reserved_memory,
            cpus=float(len(os.sched_getaffinity(0))),
            functions=len(self._catalogue),
            zygotes=self._client.zygotes,
            instances=self._dispatcher.busy,
            spares=self._dispatcher.spares,
            queued=self._dispatcher.waiting,
            lost_records=self._store.lost_records,
        )
