"""Pipelines that sign in by the word of where they run, instead of with a stored token."""

from __future__ import annotations

import msgspec

from casemate.model.function import NAME_PATTERN
from casemate.model.principal import RoleBinding

MAX_WORKLOADS = 64
MAX_NAME = 40
"""Characters: the name of a token begins with it."""
WORKLOAD_PATTERN = NAME_PATTERN.replace("{0,61}", f"{{0,{MAX_NAME - 2}}}")
MAX_CLAIMS = 16
MAX_MINUTES = 60
DEFAULT_MINUTES = 15
CLAIM_PATTERN = r"^[a-z][a-z0-9_]{0,63}=[ -~]{1,255}$"
"""NAME=VALUE: a claim and what it must be."""
MADE_BY = "workload:"
"""What `created_by` of a workload's tokens begins with; its name follows."""
IDENTIFYING = ("sub", "repository", "repository_id", "project_id", "project_path")
"""Claims of which one must be named: without any, everybody at the issuer would be let in."""


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose ID tokens (OpenID Connect Core 1.0, section 2) open a session, and with which roles."""

    name: str
    issuer: str
    """Exactly as the provider spells it, for `iss` is compared character by character."""
    audience: str
    """What the token must be for, alone: one for another service opens nothing here."""
    claims: dict[str, tuple[str, ...]]
    """Claims by name, each with the values it may have. All must be there."""
    bindings: tuple[RoleBinding, ...]
    minutes: int = DEFAULT_MINUTES
    """How long a session lasts."""
    created_at: float
    created_by: str
