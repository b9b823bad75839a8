"""What one version is granted, compiled once, and who it is to the policy."""

from __future__ import annotations

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


class Rights:
    """What one version is granted, compiled once, and who it is to the policy."""

    __slots__ = ("grants", "principal", "resources", "version")

    def __init__(self, version: Version) -> None:
        """Compile what it is granted."""
        self.version = version
        self.grants = CompiledGrants(version.spec.grants)
        self.principal = Principal(
            kind=PrincipalKind.FUNCTION, id=f"{version.project}/{version.function}"
        )
        self.resources: dict[tuple[GrantKind, str], Resource] = {}

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
