"""The control service: what owners do with a node, behind the control API."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from casemate import __version__
from casemate.admission import Catalogue, Keyring, new_key
from casemate.api.control import IssuedKey, NodeStatus, StartFailedError
from casemate.dispatch import Dispatcher
from casemate.manifest import check_received
from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    Key,
    KeyRole,
    Version,
)
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from casemate.model.function import FunctionSpec
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.node.bundles import BundleFolder
from casemate.node.options import GatewayConfig
from casemate.sandbox.client import ImportFailedError, SandboxClient, Zygote
from casemate.store.interface import Store


class NodeControl:
    """Implements `casemate.api.control.Control`. Changes are made one after the other."""

    def __init__(
        self,
        *,
        config: GatewayConfig,
        store: Store,
        catalogue: Catalogue,
        keyring: Keyring,
        dispatcher: Dispatcher,
        client: SandboxClient,
        bundles: BundleFolder,
    ) -> None:
        """Act on these."""
        self._config = config
        self._store = store
        self._catalogue = catalogue
        self._keyring = keyring
        self._dispatcher = dispatcher
        self._client = client
        self._bundles = bundles
        self._changing = asyncio.Lock()
        self.stopping = False
        """True ends followed logs, which would otherwise hold up the end of the node."""

    async def load(self) -> str | None:
        """Read what is stored; on the very first start make an admin key and return its text."""
        keys = await self._store.keys()
        text = None
        if not keys:
            key, text = new_key("admin", KeyRole.ADMIN)
            await self._store.add_key(key)
            keys = (key,)
        self._keyring.replace(keys)
        self._catalogue.replace(await self._store.functions())
        await asyncio.to_thread(self._bundles.remove_unused, self._catalogue.digests())
        for minor in {str(v.spec.python) for v in self._catalogue.live_versions()}:
            if minor in self._config.pythons:
                self._client.prepare(minor)
        return text

    async def authenticate(self, authorization: str | None) -> Key | None:
        """See Control."""
        return self._keyring.authenticate(authorization)

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
                await asyncio.to_thread(self._bundles.remove, digest)

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

    # -- bundles and versions ------------------------------------------------------------------

    async def has_bundle(self, digest: str) -> bool:
        """See Control."""
        return await asyncio.to_thread(self._bundles.has, digest)

    async def put_bundle(self, digest: str, archive: Path) -> None:
        """See Control."""
        await asyncio.to_thread(self._bundles.put, digest, archive)

    async def start_once(self, project: str, function: str, digest: str) -> None:
        """See Control."""
        zygote = await self._start(self._tentative(project, function, digest))
        zygote.close()

    async def deploy(self, project: str, function: str, digest: str, *, by: str) -> Version:
        """See Control."""
        async with self._changing:
            tentative = self._tentative(project, function, digest)
            self._catalogue.check_routes(project, function, tentative)
            zygote = await self._start(tentative)
            try:
                version = await self._store.deploy(
                    project=project,
                    function=function,
                    digest=digest,
                    spec=tentative.spec,
                    created_by=by,
                )
            except BaseException:
                zygote.close()
                raise
            # The first call finds the zygote that has just shown that the handler imports.
            self._dispatcher.adopt(version, zygote)
            await self._reload()
            return version

    def _tentative(self, project: str, function: str, digest: str) -> Version:
        """Return the version that a deploy would make, checked against what the node can run."""
        manifest = self._bundles.manifest(digest)
        spec = manifest.function
        if (manifest.project, spec.name) != (project, function):
            raise InvalidInputError(
                f"The bundle is of {manifest.project}/{spec.name}, not of {project}/{function}.",
                next_step="deploy it under its own name",
            )
        check_received(spec)
        self._check_python(spec)
        return Version(
            project=project,
            function=function,
            number=0,
            digest=digest,
            spec=spec,
            created_at=time.time(),
            created_by="",
        )

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

    # -- records -------------------------------------------------------------------------------

    async def invocations(
        self, *, project: str | None, function: str | None, limit: int
    ) -> tuple[InvocationRecord, ...]:
        """See Control."""
        await self._store.flush()
        return await self._store.invocations(project=project, function=function, limit=limit)

    async def invocation(self, invocation_id: str) -> InvocationRecord:
        """See Control."""
        await self._store.flush()
        record = await self._store.invocation(invocation_id)
        if record is None:
            raise NotFoundError(
                f"There is no invocation {invocation_id}; records are kept for a limited time.",
                next_step="run casemate invocations to see those there are",
            )
        return record

    async def error(self, error_id: str) -> ErrorRecord:
        """See Control."""
        await self._store.flush()
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
        await self._store.flush()
        return await self._store.logs(
            project=project, function=function, invocation=invocation, after=after, limit=limit
        )

    # -- keys ----------------------------------------------------------------------------------

    async def keys(self) -> tuple[Key, ...]:
        """See Control."""
        return await self._store.keys()

    async def add_key(self, name: str, role: KeyRole, *, by: str) -> IssuedKey:
        """See Control."""
        async with self._changing:
            key, text = new_key(name, role)
            await self._store.add_key(key)
            self._keyring.replace(await self._store.keys())
            return IssuedKey(key=key, text=text)

    async def revoke_key(self, key_id: str, *, by: str) -> Key:
        """See Control."""
        async with self._changing:
            keys = await self._store.keys()
            admins = [k.id for k in keys if k.role is KeyRole.ADMIN and k.revoked_at is None]
            if admins == [key_id]:
                raise ConflictError(
                    "This is the last admin key; without it nobody could control the node.",
                    next_step="add another admin key first: casemate keys add NAME --role admin",
                )
            key = await self._store.revoke_key(key_id)
            self._keyring.replace(await self._store.keys())
            return key

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
