"""What a restriction ends where it goes on already: connections, and what has a secret's value."""

from __future__ import annotations

from casemate.admission import Catalogue
from casemate.dispatch import Dispatcher
from casemate.model.deployment import Version
from casemate.model.grant import GrantKind
from casemate.model.restriction import EVERYTHING, Restriction, RestrictionKind
from casemate.restrictions import Restrictions
from casemate.sandbox.client import SandboxClient


class HeldBack:
    """Of one gateway."""

    def __init__(
        self,
        restrictions: Restrictions,
        client: SandboxClient,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
    ) -> None:
        """Follow `restrictions` from now on."""
        self._restrictions = restrictions
        self._client = client
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        restrictions.changed = self._changed

    def _changed(self, one: Restriction, holds: bool) -> None:
        if one.kind is RestrictionKind.HOST:
            self._client.cut_off()
        elif one.kind is RestrictionKind.SECRET and holds:
            functions = {
                (version.project, version.function)
                for version in self._catalogue.reached()
                if _has(version, one)
            }
            for name in functions:
                self._dispatcher.kill(*name)


def _has(version: Version, one: Restriction) -> bool:
    """Tell whether a version may have been given what is held back."""
    if version.project != one.project or one.function not in ("", version.function):
        return False
    return any(
        grant.kind is GrantKind.SECRET and one.what in (EVERYTHING, grant.name)
        for grant in version.spec.grants
    )
