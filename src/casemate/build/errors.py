"""Every way in which a build or an archive can be refused."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError, UnavailableError


class BuildError(InvalidInputError):
    """The function cannot be built."""


class UnsupportedRuntimeError(BuildError):
    """The Python version is not supported, past its end of life, or not on this host."""


class SourceTreeError(BuildError):
    """The source tree holds something that cannot become part of a bundle."""


class CodeSyntaxError(BuildError):
    """A file of the function is not valid Python."""


class DependencyError(BuildError):
    """The dependencies cannot be resolved or installed."""


class RequirementsFileError(DependencyError):
    """The requirements file cannot be used."""


class RequirementNotFoundError(DependencyError):
    """A requirement names a package or version that does not exist."""


class SourceOnlyError(DependencyError):
    """A requirement has no wheel, and no exception has it built from source."""


class NoMatchingWheelError(DependencyError):
    """A requirement has wheels, but none for this Python version and machine."""


class RequirementConflictError(DependencyError):
    """The requirements exclude each other."""


class HashMismatchError(DependencyError):
    """A downloaded file is not the one the lock names."""


class UnhashedRequirementError(DependencyError):
    """The lock does not hold a strong hash of everything it needs."""


class StaleLockError(DependencyError):
    """The lock does not fit its project file."""


class BuildTimeoutError(UnavailableError):
    """A step of the build took too long."""


class ArchiveError(InvalidInputError):
    """The archive or bundle is not what it should be."""
