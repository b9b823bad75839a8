"""What a node knows of deployed functions: versions and aliases."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.budget import BudgetState, QuotaState
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant
from casemate.model.signing import Voucher

LIVE = "live"
"""The alias that callers without a wish of their own are sent to."""
LEAST_TRIAL_SECONDS = 1
MOST_TRIAL_SECONDS = 7 * 24 * 3600


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


class TrialTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a version is tried: which share of the calls it gets, and for how long."""

    weight: Annotated[int, msgspec.Meta(ge=1, le=99, description="Its share in per cent.")]
    seconds: Annotated[
        int,
        msgspec.Meta(
            ge=LEAST_TRIAL_SECONDS,
            le=MOST_TRIAL_SECONDS,
            description="When it ends by itself, unless it was ended before.",
        ),
    ]


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
    trial: TrialTerms | None = None
    """None: all calls go to it at once."""


class AliasTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A share of an alias. `weight` is a percentage; an alias's weights add up to 100."""

    version: int
    weight: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """That a version has a share of the calls for a time, and none after it unless it is promoted.

    Known elsewhere as a canary.
    """

    version: int
    """The one that is tried."""
    back: int
    """The one that all calls go to again when it ends by itself."""
    until: float
    """Unix time at which it does."""


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A named pointer to versions of one function."""

    project: str
    function: str
    name: str
    targets: tuple[AliasTarget, ...]
    changed_at: float
    trial: Trial | None = None
    """Why it leads to two versions, where that ends by itself."""


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
    budgets: tuple[BudgetState, ...] = ()
    """Those that bound it, its project's among them, where one function is shown to who may see
    them."""
    quotas: tuple[QuotaState, ...] = ()
    """The same of quotas."""
