"""Says of one file of an index whether it may be installed, and if not, why and what to do.

Pure: what is known of the file, the rules and the time go in, a refusal or nothing comes out.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from casemate.package_index import limits
from casemate.package_index.errors import (
    MaliciousPackageError,
    PackageRefusedError,
    TooNewError,
    UndatedError,
    YankedError,
)
from casemate.package_index.known import Known
from casemate.package_index.listing import Release
from casemate.package_index.policy import POLICY_FILE, Allow, Policy

if TYPE_CHECKING:
    from casemate.sigstore import TrustedRoot

_DAY = 86400.0


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged by. `now` is in seconds since 1970; `aged` asks for the cool-down."""

    policy: Policy
    known: Known
    now: float
    aged: bool = True
    trusted: TrustedRoot | None = None
    """Whose attestations are believed; None: those of Sigstore's public instance."""

    @property
    def today(self) -> date:
        """Return the day of `now`."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def allows(self, kind: Allow, package: str, version: str) -> bool:
        """Tell whether an exception that has not ended accepts a release."""
        return self.policy.allows(kind, package, version, today=self.today)


def refusal(
    package: str, release: Release, rules: Rules, *, held: bool = False
) -> PackageRefusedError | None:
    """Return why a file may not be installed. `held` says that a lock had the very file before."""
    version = release.version
    record = rules.known.malicious(package, version)
    if record is not None:
        return MaliciousPackageError(
            f"{package} {version} is known to be malicious ({record}).",
            next_step="Do not use it. If it ran anywhere, change every secret it could reach.",
        )
    if release.yanked is not None and not rules.allows(Allow.YANKED, package, version):
        why = f": {release.yanked}" if release.yanked else ""
        return YankedError(
            f"{package} {version} was yanked by its publisher{why}.",
            next_step=f"Use another version, or {exception(package, version, Allow.YANKED, rules)}",
        )
    if not rules.aged or held:
        return None
    return _age_refusal(package, release, rules)


def _age_refusal(package: str, release: Release, rules: Rules) -> PackageRefusedError | None:
    version, days = release.version, rules.policy.cool_down
    age = None if release.uploaded is None else (rules.now - release.uploaded) / _DAY
    if days == 0 or (age is not None and age >= days):
        return None
    # Not before: a project has thousands of files, and all but a few are old.
    kind = Allow.UNDATED if age is None else Allow.FRESH
    if rules.allows(kind, package, version) or rules.known.mends(package, version) is not None:
        return None
    how = exception(package, version, kind, rules)
    if release.uploaded is None or age is None:
        return UndatedError(
            f"The index does not say when {package} {version} was uploaded, so it may be younger "
            f"than {days} days.",
            next_step=f"If you trust the index, {how}",
        )
    when = datetime.fromtimestamp(release.uploaded, UTC).date()
    told = f"{age:.1f} days ago" if age >= 0 else "in the future; is the clock right?"
    return TooNewError(
        f"{package} {version} was uploaded on {when}, {told}; releases are used after {days} days.",
        next_step=f"Wait {math.ceil(days - age)} day(s), use an older version, or {how}",
    )


def exception(package: str, version: str | None, kind: Allow, rules: Rules) -> str:
    """Return how an exception is recorded, and whether there was one that has ended."""
    ended = [
        each
        for each in rules.policy.exceptions(kind, package, version or "")
        if each.expires < rules.today
    ]
    # Undated are all versions of an index that does not say; everything else is one release.
    release = f'version = "{version}", ' if version and kind is not Allow.UNDATED else ""
    text = (
        f'record an exception in {POLICY_FILE}: [[exception]] package = "{package}", {release}'
        f'allow = ["{kind}"], a reason and an end (`expires`), of at most '
        f"{limits.MAX_EXCEPTION_DAYS} days."
    )
    if ended:
        return f"{text} The one that is there ended on {max(each.expires for each in ended)}."
    return text
