"""What is in the way of a deploy, as far as manifests tell it: said before anything is built."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from casemate.gateway.deploy_decisions import DeployDecisions, noted
from casemate.gateway.forgetting import Declaring
from casemate.gateway.uploaded_bundles import UploadedBundles
from casemate.gateway.vouched import Vouching
from casemate.manifest import check_received
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.facts import Actor
from casemate.model.function import FunctionSpec
from casemate.model.grant import Resources
from casemate.model.processes import GatewayConfig
from casemate.operations.functions import Forgets, PlannedFunction
from casemate.vulnerabilities import Gate


def require_runnable(config: GatewayConfig, spec: FunctionSpec, resources: Resources) -> None:
    """Raise InvalidInputError for a function that this node cannot run, or that no manifest has."""
    check_received(spec, resources)
    offered = sorted(config.pythons)
    if spec.python not in offered:
        raise InvalidInputError(
            f"{spec.name} is for Python {spec.python}; this node offers "
            f"{', '.join(offered) or 'none'}.",
            next_step=f"Set python in casemate.toml to one of {', '.join(offered)}.",
        )
    if config.caps is not None:
        config.caps.require(spec.name, spec.limits)


class Foreseeing:
    """Tells all of it at once. The deploy decides again."""

    def __init__(
        self,
        config: GatewayConfig,
        decisions: DeployDecisions,
        gate: Gate,
        vouching: Vouching,
        uploaded: UploadedBundles,
        declaring: Declaring,
    ) -> None:
        """Ask these."""
        self._declaring = declaring
        self._config = config
        self._decisions = decisions
        self._gate = gate
        self._vouching = vouching
        self._uploaded = uploaded

    async def foresee(
        self, planned: Sequence[PlannedFunction], *, key: str | None, sigstore: bool, by: Actor
    ) -> list[CasemateError]:
        """See `casemate.api.control.Control`."""
        found: list[CasemateError] = []
        versions = []
        for one in planned:
            spec = one.spec
            if spec.python is None and self._config.pythons:
                spec = msgspec.structs.replace(spec, python=max(self._config.pythons))
            with noted(found, one):
                # Contracts are large: not on the event loop.
                await asyncio.to_thread(require_runnable, self._config, spec, one.resources)
                # What no manifest could say is not asked about any further.
                versions.append(_version(one.project, spec))
        with noted(found):
            self._decisions.require_ready_room(versions)
        for version in versions:
            found += self._decisions.obstacles(version, versions)
            await asyncio.sleep(0)  # each looks at all that is deployed
        packaged = [one for one in planned if one.packages]
        if packaged:
            standing = await self._gate.standing()
            for one in packaged:
                with noted(found, one):
                    self._gate.require_advisories(one.project, one.function, standing, by)
        # The rule is the project's: it is asked about, and told, once.
        for one in {one.project: one for one in reversed(planned)}.values():
            with noted(found):
                await self._vouching.require_possible(
                    one.project, one.function, key, by, sigstore=sigstore
                )
        with noted(found):
            await self._uploaded.require_any_room(
                [(one.project, one.function) for one in planned], by=by.principal
            )
        return found

    async def forgets(self, planned: Sequence[PlannedFunction]) -> list[Forgets]:
        """See `casemate.api.control.Control`."""
        found = []
        for one in planned:
            grants = await self._declaring.forgets(one.project, one.resources)
            if grants:
                found.append(Forgets(function=f"{one.project}/{one.function}", grants=grants))
        return found


def _version(project: str, spec: FunctionSpec) -> Version:
    return Version(
        project=project,
        function=spec.name,
        number=0,
        digest="",
        spec=spec,
        created_at=time.time(),
        created_by="",
    )
