"""What a node knows of deployed functions: versions and aliases."""

from __future__ import annotations

import msgspec

from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant
from casemate.model.signing import Voucher

LIVE = "live"
"""The alias that callers without a wish of their own are sent to."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One deployed bundle of a function. Numbers count up from 1 and are never used again."""

    project: str
    function: str
    number: int
    digest: str
    spec: FunctionSpec
    created_at: float
    """Unix time in seconds."""
    created_by: str
    """Id of the key that deployed it."""


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is to be live, not numbered yet."""

    project: str
    function: str
    digest: str
    spec: FunctionSpec
    approved: tuple[Grant, ...] = ()
    """What it is granted beyond the version that is live, approved by who deploys it."""
    vouchers: tuple[Voucher, ...] = ()
    """What vouches for the bundle: used up by this."""
    needed: int = 1
    """How many keys had to."""


class AliasTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A share of an alias. `weight` is a percentage; an alias's weights add up to 100."""

    version: int
    weight: int


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A named pointer to versions of one function."""

    project: str
    function: str
    name: str
    targets: tuple[AliasTarget, ...]
    changed_at: float


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """That a function takes no calls until somebody releases it."""

    project: str
    function: str
    reason: str
    by: str
    """As `Principal.text`; `node` for what the node did by a policy of its own."""
    since: float


class DeployedFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function with all its versions (ascending) and aliases."""

    project: str
    name: str
    versions: tuple[Version, ...]
    aliases: tuple[Alias, ...]
    ready: int = 0
    """Instances that wait for a call at the moment."""
    quarantine: Quarantine | None = None
    """Why it takes no calls; None: it does."""
