"""Source and requirements -> an immutable bundle folder named by its digest.

It finds interpreters, locks, installs and compiles dependencies in a sandbox, and packs and
unpacks bundles. It runs no code of a function or package, except sources that an exception names.
It is not the sandbox in which functions run, and knows no node and no store; callers pass it what
advisories say. May import `model` and `package_index`. The build itself is in `bundle`, which a
gateway does not import: it only packs and unpacks.
"""

from casemate.build.archive import (
    QUICK_LEVEL,
    manifest_of,
    pack,
    require_manifest,
    unpack,
    verify,
)
from casemate.build.errors import (
    ArchiveError,
    BuildError,
    BuildTimeoutError,
    CodeSyntaxError,
    DependencyError,
    HashMismatchError,
    NoMatchingWheelError,
    RequirementConflictError,
    RequirementNotFoundError,
    RequirementsFileError,
    SourceOnlyError,
    SourceTreeError,
    StaleLockError,
    UnhashedRequirementError,
    UnsupportedRuntimeError,
)
from casemate.build.interpreters import (
    Interpreter,
    RuntimeStatus,
    choose_interpreter,
    end_of_life,
    find_interpreters,
)

__all__ = [
    "QUICK_LEVEL",
    "ArchiveError",
    "BuildError",
    "BuildTimeoutError",
    "CodeSyntaxError",
    "DependencyError",
    "HashMismatchError",
    "Interpreter",
    "NoMatchingWheelError",
    "RequirementConflictError",
    "RequirementNotFoundError",
    "RequirementsFileError",
    "RuntimeStatus",
    "SourceOnlyError",
    "SourceTreeError",
    "StaleLockError",
    "UnhashedRequirementError",
    "UnsupportedRuntimeError",
    "choose_interpreter",
    "end_of_life",
    "find_interpreters",
    "manifest_of",
    "pack",
    "require_manifest",
    "unpack",
    "verify",
]
