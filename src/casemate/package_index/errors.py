"""Every reason for which a package, a release or an index's answer is refused."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError, UnavailableError

_TELL = (
    "Tell whoever runs the index, or use another one; UV_DEFAULT_INDEX or casemate-packages.toml "
    "names it."
)


class PackagePolicyError(InvalidInputError):
    """The file of rules about packages cannot be used."""


class PackageRefusedError(InvalidInputError):
    """A package may not be installed."""


class TooNewError(PackageRefusedError):
    """A release is younger than the cool-down."""


class UndatedError(PackageRefusedError):
    """An index does not say when a file was uploaded."""


class YankedError(PackageRefusedError):
    """A release was taken back by whoever published it."""


class AmbiguousIndexError(PackageRefusedError):
    """More than one index has a package of one name."""


class MovedError(PackageRefusedError):
    """A package comes from another index than the lock names."""


class PublisherChangedError(PackageRefusedError):
    """A release was published by somebody else than the one before it."""


class LookAlikeError(PackageRefusedError):
    """A name resembles that of a popular package."""


class MaliciousPackageError(PackageRefusedError):
    """A package is known to be an attack."""


class PoisonedWheelError(PackageRefusedError):
    """A wheel is not what a wheel may be."""


class IndexAnswerError(InvalidInputError):
    """An index answers what it may not."""

    def __init__(self, message: str | None = None, *, next_step: str | None = None) -> None:
        """See CasemateError; without a `next_step` of its own it says whose the fault is."""
        super().__init__(message, next_step=next_step or _TELL)


class IndexUnavailableError(UnavailableError):
    """A package index cannot be reached."""


class UnverifiedError(IndexAnswerError):
    """An attestation of a file does not hold, or is of another file."""
