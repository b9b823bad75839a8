"""Which packages may be installed: rules, and a small index on loopback that enforces them.

It binds each name to one index, holds back packages that are too new, yanked, malicious or have a
misleading name, keeps logins to itself, and says for each refusal why and what to do. It resolves
and installs nothing, and opens no wheel: the build does that. May import `model` and
`sigstore` only.
"""

from casemate.package_index.errors import (
    AmbiguousIndexError,
    IndexAnswerError,
    IndexUnavailableError,
    LookAlikeError,
    MaliciousPackageError,
    MovedError,
    PackagePolicyError,
    PackageRefusedError,
    PoisonedWheelError,
    PublisherChangedError,
    TooNewError,
    UndatedError,
    UnverifiedError,
    YankedError,
)
from casemate.package_index.indexes import Index, indexes_of
from casemate.package_index.judging import Rules
from casemate.package_index.known import Known, NothingKnown
from casemate.package_index.lending import Lend, nobody_lends
from casemate.package_index.listing import Release
from casemate.package_index.names import popular_names
from casemate.package_index.origins import origins_of, pins_of
from casemate.package_index.policy import POLICY_FILE, Allow, Policy, read_policy, read_trusted
from casemate.package_index.recording import recorded
from casemate.package_index.selection import Selection
from casemate.package_index.server import INDEX_URL, IndexServer
from casemate.package_index.upstream import Upstream

__all__ = [
    "INDEX_URL",
    "POLICY_FILE",
    "Allow",
    "AmbiguousIndexError",
    "Index",
    "IndexAnswerError",
    "IndexServer",
    "IndexUnavailableError",
    "Known",
    "Lend",
    "LookAlikeError",
    "MaliciousPackageError",
    "MovedError",
    "NothingKnown",
    "PackagePolicyError",
    "PackageRefusedError",
    "PoisonedWheelError",
    "Policy",
    "PublisherChangedError",
    "Release",
    "Rules",
    "Selection",
    "TooNewError",
    "UndatedError",
    "UnverifiedError",
    "Upstream",
    "YankedError",
    "indexes_of",
    "nobody_lends",
    "origins_of",
    "pins_of",
    "popular_names",
    "read_policy",
    "read_trusted",
    "recorded",
]
