"""Logins of package indexes, lent by the node to this process for a build, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable

from casemate.cli.client import connect
from casemate.operations.secrets import LendSecret


def lender(project: str) -> Callable[[str], bytes]:
    """Return what asks the node for secrets of a project, once for each.

    The value is sealed by the vault to a key that is made here for it, so that neither the node's
    gateway nor who is between can read it.
    """
    lent: dict[str, bytes] = {}

    def lend(name: str) -> bytes:
        if name not in lent:
            lent[name] = _lent(project, name)
        return lent[name]

    return lend


def _lent(project: str, name: str) -> bytes:
    from casemate.vault.sealed import new_private_key, open_lent, public_key_of

    private = new_private_key()
    with connect() as client:
        asked = LendSecret(project=project, name=name, public_key=public_key_of(private))
        return open_lent(private, project, name, client.call(asked).sealed)
