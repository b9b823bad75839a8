"""What ends where it goes on already: connections to hosts, and what has a secret's value."""

from __future__ import annotations

from casemate.admission import Catalogue
from casemate.dispatch import Dispatcher
from casemate.model.deployment import Version
from casemate.model.grant import GrantKind
from casemate.model.restriction import EVERYTHING, Restriction, RestrictionKind
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from casemate.sandbox.client import SandboxClient
from casemate.triggers.outside import OutsideTriggers


class HeldBack:
    """Of one gateway."""

    def __init__(
        self,
        restrictions: Restrictions,
        rotations: Rotations,
        client: SandboxClient,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        outside: OutsideTriggers,
    ) -> None:
        """Follow `restrictions` and `rotations` from now on."""
        self._client = client
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._outside = outside
        restrictions.changed = self._changed
        rotations.changed = self._rotated

    def _changed(self, one: Restriction, holds: bool) -> None:
        if one.kind is RestrictionKind.HOST:
            self._client.cut_off()
        elif one.kind is RestrictionKind.SECRET and holds:
            for name in self._holders(one.project, one.what, one.function):
                self._dispatcher.kill(*name)

    def _rotated(self, project: str, secret: str, at_once: bool) -> None:
        """Have nothing go on with the former value: after its calls, or in the middle of them."""
        for name in self._holders(project, secret):
            (self._dispatcher.kill if at_once else self._dispatcher.renew)(*name)
        self._outside.renew(project, secret)

    def _holders(self, project: str, secret: str, function: str = "") -> set[tuple[str, str]]:
        """Return which functions may have been given a secret."""
        return {
            (version.project, version.function)
            for version in self._catalogue.reached()
            if version.project == project
            and function in ("", version.function)
            and _has(version, secret)
        }


def _has(version: Version, secret: str) -> bool:
    return any(
        grant.kind is GrantKind.SECRET and secret in (EVERYTHING, grant.name)
        for grant in version.spec.grants
    )
