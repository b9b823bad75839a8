"""Who and what a finding is about, as texts that findings of one incident have in common."""

from __future__ import annotations

import re
from ipaddress import ip_address

EVERYBODY = frozenset({"", "anonymous:public", "node", "unknown"})
"""What stands for many, or for the node itself: findings that share no more than this have nothing
in common."""
_PLAYBOOK = "playbook:"
SAYS_HOW = frozenset({"action", "change", "problem", "reason", "rule", "seconds", "what"})
"""Last parts of fields that name nobody and nothing: many findings have the same there."""
_KINDS = {"project_uid": "project"}
_WANTED = "unmapped.resource"
FUNCTIONS = "function:"
_FUNCTION = re.compile(r"[a-z][a-z0-9-]{0,62}/[a-z][a-z0-9-]{0,62}")
"""As resources of OCSF name one; those of other kinds have it before the name."""


def things_of(entity: str) -> list[str]:
    """Return who and what a finding's entity names: `actor.user.name=user:ada` is `user:ada`, and
    what says not itself what it is says it by its field: `unmapped.risk=landlock` `risk:landlock`.
    """
    found = []
    for word in entity.split():
        path, equals, value = word.partition("=")
        field = path.rpartition(".")[2]
        if not equals or value in EVERYBODY or field in SAYS_HOW:
            continue
        if value.startswith(_PLAYBOOK):
            continue  # the node's own, which acts on what has nothing in common
        if path == _WANTED and value.startswith(FUNCTIONS):
            continue  # what was denied to somebody has done nothing, and is not to be stopped
        if _FUNCTION.fullmatch(value):
            value = FUNCTIONS + value  # as the principal that it is
        elif ":" not in value and not is_address(value):
            value = f"{_KINDS.get(field, field)}:{value}"
        if value[:256] not in found:
            found.append(value[:256])
    return found


def is_address(thing: str) -> bool:
    """Tell whether a thing is an IP address."""
    try:
        ip_address(thing)
    except ValueError:
        return False
    return True
