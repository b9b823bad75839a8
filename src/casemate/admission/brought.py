"""That triggers may call what they call: asked once, and again when anything has changed.

Only for what the host itself brings, which shows no credential that could end. What is remembered
holds for one state of what is deployed and one revision of the policies.
"""

from __future__ import annotations

from casemate.admission.catalogue import Catalogue
from casemate.model.deployment import Version
from casemate.model.path import RawInvocation
from casemate.model.principal import PrincipalKind
from casemate.policy.interface import Policy

MAX_REMEMBERED = 4096
_Asked = tuple[str, str, str | None, str, str, int]


class BroughtEvents:
    """Who was found to be allowed. Never who was not: a denial is decided and told each time."""

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        """Remember nothing yet."""
        self._catalogue = catalogue
        self._policy = policy
        self._state = (-1, -1)
        self._allowed: set[_Asked] = set()

    def allowed(self, raw: RawInvocation, version: Version) -> bool:
        """Tell whether the same was allowed before, by all that is in force now."""
        state = (self._catalogue.revision, self._policy.revision)
        if state != self._state:
            self._state = state
            self._allowed.clear()
            return False
        asked = _asked(raw, version)
        return asked is not None and asked in self._allowed

    def note(self, raw: RawInvocation, version: Version) -> None:
        """Remember that it was allowed just now."""
        asked = _asked(raw, version)
        if asked is None:
            return
        if len(self._allowed) >= MAX_REMEMBERED:
            self._allowed.clear()
        self._allowed.add(asked)


def _asked(raw: RawInvocation, version: Version) -> _Asked | None:
    """Return all that the decision is made of; None if the host does not bring it."""
    caller = raw.caller
    if caller is None:
        return None
    principal = caller.principal
    if principal.kind is not PrincipalKind.TRIGGER:
        return None
    if principal.bindings or principal.expires_at is not None:
        return None  # no trigger has any of these
    return (raw.project, raw.function, raw.qualifier, raw.trigger, principal.id, version.number)
