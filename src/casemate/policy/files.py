"""Reads policy files from disk, for checks that need no node."""

from __future__ import annotations

from pathlib import Path

from casemate.model.account import PolicyFile
from casemate.policy.compiled import SUFFIX
from casemate.policy.errors import PolicyError
from casemate.policy.source import MAX_FILE_BYTES, require_visible


def read_bounded(path: Path, maximum: int, next_step: str) -> str:
    """Return the UTF-8 text of a regular file of at most `maximum` bytes, or raise PolicyError."""
    if not path.is_file():
        what = "it is no regular file." if path.exists() else "there is no such file."
        raise PolicyError(what, file=str(path), next_step=next_step)
    try:
        with path.open("rb") as stream:
            data = stream.read(maximum + 1)
    except OSError as error:
        raise PolicyError(
            f"the file cannot be read ({error.strerror}).", file=str(path), next_step=next_step
        ) from error
    if len(data) > maximum:
        raise PolicyError(
            f"the file is longer than {maximum} bytes.", file=str(path), next_step="Split it."
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"found the byte 0x{data[error.start]:02x}, expected UTF-8.",
            file=str(path),
            line=data.count(b"\n", 0, error.start) + 1,
            next_step="Save the file as UTF-8.",
        ) from error


def read_policy_file(path: Path, name: str | None = None) -> PolicyFile:
    """Return the policy file at `path`; its name is the file's without `.cedar` unless given."""
    text = read_bounded(path, MAX_FILE_BYTES, "Name a policy file, such as deployer.cedar.")
    require_visible(text, str(path))
    return PolicyFile(
        name=path.name.removesuffix(SUFFIX) if name is None else name,
        text=text,
        changed_at=0.0,
        changed_by="",
    )
