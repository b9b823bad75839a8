"""Operations on what a project has as a whole. The node's own: deploys and rotations ask for them.

What is in it is dropped by those of `objects`, `items`, `messages` and `inboxes`.
"""

from __future__ import annotations

from casemate.model.grant import Resources
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name


class EnsureResources(Operation[None], frozen=True, kw_only=True):
    """Make what is declared and missing; ConflictError if it is there with other keys.

    Limits, indexes, TTL and retention of what is there are changed to what is declared, whatever
    is forgotten by it.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    resources: Resources


class ShowResources(Operation[Resources], frozen=True, kw_only=True):
    """Return what a project has; nothing for a project without data."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name


class RekeyProject(Operation[None], frozen=True, kw_only=True):
    """Encrypt what is stored with the newest data keys. Other operations go on meanwhile."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
