"""What one version is granted, compiled once, and who it is to the policy."""

from __future__ import annotations

from typing import Protocol

from casemate.model.deployment import Version
from casemate.model.grant import GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.principal import Principal, PrincipalKind, Resource, ResourceKind

MAX_COMPILED = 10_000
"""Versions whose grants are kept compiled, and resources of one of them."""
_RESOURCE_KINDS = {
    GrantKind.BUCKET: ResourceKind.BUCKET,
    GrantKind.TABLE: ResourceKind.TABLE,
    GrantKind.QUEUE: ResourceKind.QUEUE,
    GrantKind.TOPIC: ResourceKind.TOPIC,
    GrantKind.SECRET: ResourceKind.SECRET,
    GrantKind.FUNCTION: ResourceKind.FUNCTION,
}


class Deployed(Protocol):
    """What is deployed now."""

    @property
    def revision(self) -> int:
        """Counts up with every change of it."""
        ...

    def in_force(self, version: Version) -> Version:
        """Return a version with the rights that it has now."""
        ...


class Rights:
    """What one version is granted, compiled once, and who it is to the policy."""

    __slots__ = ("_deployed", "_now", "_revision", "grants", "principal", "resources", "version")

    def __init__(self, version: Version, deployed: Deployed) -> None:
        """Compile what it is granted."""
        self.version = version
        self.grants = CompiledGrants(version.spec.grants)
        self._deployed = deployed
        self._revision = -1
        self._now = self.grants
        self.principal = Principal(
            kind=PrincipalKind.FUNCTION, id=f"{version.project}/{version.function}"
        )
        self.resources: dict[tuple[GrantKind, str], Resource] = {}

    @property
    def now(self) -> CompiledGrants:
        """What it is granted by what is deployed now: calls may run that began before a deploy."""
        if self._revision != self._deployed.revision:
            grants = self._deployed.in_force(self.version).spec.grants
            same = grants == self.version.spec.grants
            self._now = self.grants if same else CompiledGrants(grants)
            self._revision = self._deployed.revision
        return self._now

    def resource(self, kind: GrantKind, name: str) -> Resource:
        """Return the resource as the policy knows it. Functions only reach their own project."""
        known = self.resources.get((kind, name))
        if known is None:
            known = Resource(
                kind=_RESOURCE_KINDS[kind],
                project=self.version.project,
                name=name,
                internal=kind is GrantKind.FUNCTION,
            )
            if len(self.resources) < MAX_COMPILED:
                self.resources[kind, name] = known
        return known
