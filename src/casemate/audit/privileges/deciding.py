"""Whether an action is needed, not needed, or not decided, of one function."""

from __future__ import annotations

from casemate.audit.model import Function, Platform, Statement
from casemate.audit.privileges.needs import EVERY, Need, Needs
from casemate.audit.privileges.platform import implied
from casemate.audit.privileges.resources import Names
from casemate.audit.privileges.services import plain
from casemate.audit.privileges.special import WITHOUT_RIGHTS
from casemate.model.grant import GrantKind

FREE = frozenset(each.lower() for each in WITHOUT_RIGHTS)
"""Actions that every role may do."""
_NOT_READ = (GrantKind.EGRESS.value,)
"""Kinds of this platform's grants that no code decides: to which hosts a library connects."""


class Decided:
    """What one function needs, asked action by action."""

    def __init__(self, function: Function, needs: Needs, names: Names) -> None:
        """Take what the code needs, and what the platform needs for it."""
        self.function = function
        self.needs = needs
        self.names = names
        self.by_action: dict[str, list[Need]] = {}
        for each in needs.uses:
            self.by_action.setdefault(each.action.lower(), []).append(each)
        used = frozenset(each.action.partition(":")[0] for each in needs.uses)
        own = function.platform is Platform.CASEMATE
        self.implied = frozenset[str]() if own else implied(function, used)
        self.open = {each.service for each in needs.open}
        self._lost = {plain(each.method) for each in needs.lost}

    def undecided(self, action: str) -> bool:
        """Tell whether nothing can be said of an action."""
        service, _, name = action.lower().partition(":")
        if self.function.platform is Platform.CASEMATE and service in _NOT_READ:
            return True
        return EVERY in self.open or service in self.open or name in self._lost

    def needed(self, action: str, statement: Statement) -> bool:
        """Tell whether the code, or the platform for it, may use an action on these resources."""
        key = action.lower()
        if key in self.implied or key in FREE:
            return True
        return any(self.on(each, statement) for each in self.by_action.get(key, ()))

    def on(self, need: Need, statement: Statement) -> bool:
        """Tell whether a need may be one of the resources of a statement."""
        if statement.excepted_resources or not need.known:
            return True
        service = need.action.partition(":")[0]
        if self.function.platform is Platform.CASEMATE:
            return any(r.partition("/")[2] == need.resource for r in statement.resources)
        return any(self.names.may_be(service, r, need.resource) for r in statement.resources)
