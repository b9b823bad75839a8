"""Secrets that functions are to use and that nobody has set: told at deploy, not at a call."""

from __future__ import annotations

from collections.abc import Iterable

import httpx2

from casemate.cli.client import NodeClient
from casemate.model.function import FunctionSpec
from casemate.model.grant import GrantKind
from casemate.operations.secrets import ListProjectSecrets


def wanted_secrets(spec: FunctionSpec) -> set[str]:
    """Return the names of the secrets that a function is granted, or that its triggers name."""
    granted = {grant.name for grant in spec.grants if grant.kind is GrantKind.SECRET}
    named = {
        getattr(trigger, field, "") for trigger in spec.triggers for field in ("secret", "password")
    }
    return granted | named - {""}


def unset_secrets(client: NodeClient, project: str, specs: Iterable[FunctionSpec]) -> list[str]:
    """Return the secrets that these functions of a project want and that are not set, by name.

    Nothing is said to those who may not list secrets: they could not tell.
    """
    wanted: set[str] = set().union(*map(wanted_secrets, specs))
    if not wanted:
        return []
    listing = ListProjectSecrets(project=project)
    response = client.request(listing)
    if response.status_code == httpx2.codes.FORBIDDEN:
        return []
    if response.status_code == httpx2.codes.NOT_FOUND:  # the project's first deploy
        return sorted(wanted)
    there = {secret.name for secret in client.answer(listing, response).secrets}
    return sorted(wanted - there)
