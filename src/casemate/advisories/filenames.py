"""Names of files in archives: which are plain, and which are to hold records."""

from __future__ import annotations

from casemate.advisories import limits
from casemate.advisories.errors import SourceError

_SUFFIX = ".json"


def check_name(name: str) -> None:
    """Raise SourceError for a name that leads elsewhere, or that is none."""
    parts = name.split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or len(name) > limits.MAX_PATH_CHARS
        or any(part in ("", "..") for part in parts)
        or len(parts) > limits.MAX_FOLDER_DEPTH
    ):
        raise SourceError(f"The archive has the file {name[:200]!a}, which is no plain name.")


def is_record(name: str) -> bool:
    """Tell whether a file is to hold a record; files that begin with a dot are passed over."""
    return name.endswith(_SUFFIX) and not any(
        part.startswith(".") and part != "." for part in name.split("/")
    )


def too_large(name: str) -> SourceError:
    """Return the error of a file that is larger than a record may be."""
    return SourceError(
        f"{name[:200]!a} is larger than {limits.MAX_RECORD_BYTES // limits.MIB} MiB."
    )
