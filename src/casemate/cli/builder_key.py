"""The key with which what is built on this machine is signed: made at first use, its owner's alone.

`CASEMATE_BUILDER_KEY` names its file; else it is beside the stored credentials.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.cli.credentials import file_path
from casemate.cli.errors import CredentialsError
from casemate.cli.terminal import YELLOW, note
from casemate.kernel.drafts import draft_file
from casemate.kernel.placing import take_name

if TYPE_CHECKING:
    from casemate.signing import SigningKey

VARIABLE = "CASEMATE_BUILDER_KEY"
_HEAD = "casemate builder key 1\n"
_CONTENT = re.compile(rf"{_HEAD}([0-9a-f]{{64}})\n")
_MAX_BYTES = 256


def key_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the key is kept."""
    named = environ.get(VARIABLE)
    return Path(named).absolute() if named else file_path(environ).parent / "builder.key"


def kept_key_id(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the id of the key that is there; None without one: then another is made later."""
    found = _read(key_path(environ))
    return None if found is None else found.id


def own_key(environ: Mapping[str, str] = os.environ) -> SigningKey:
    """Return the key, made if there is none. CredentialsError if others can read its file.

    Where no file can be written it is for this run alone, which is said.
    """
    from casemate.signing import SigningKey

    path = key_path(environ)
    found = _read(path)
    if found is not None:
        return found
    made = SigningKey.made()
    try:
        _write(path, made)
    except FileExistsError:  # another command was first
        return _read(path) or made
    except OSError as error:
        note(
            f"The builder's key cannot be kept in {path}: {error.strerror}. It is for this run "
            "alone.",
            YELLOW,
        )
    return made


def _read(path: Path) -> SigningKey | None:
    from casemate.signing import SigningKey

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CredentialsError(
            f"The builder's key {path} cannot be opened: {error.strerror}.",
            next_step="Make it a file that only you can read, or remove it.",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise CredentialsError(
                f"The builder's key {path} can be read or changed by others.",
                next_step=f"Run `chmod 600 {path}`; if others had access, "
                "`casemate keys revoke` it and remove the file.",
            )
        content = file.read(_MAX_BYTES)
    match = _CONTENT.fullmatch(content.decode("ascii", "replace"))
    if match is None:
        raise CredentialsError(
            f"{path} does not hold a builder's key.", next_step="Remove it; a new one is made."
        )
    return SigningKey.from_bytes(bytes.fromhex(match.group(1)))


def _write(path: Path, key: SigningKey) -> None:
    """Write a new file whole, for its owner alone. FileExistsError if there is one by now."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with draft_file(path.parent, ".builder-", "") as (draft, descriptor):
        with os.fdopen(descriptor, "w", closefd=False) as file:
            file.write(f"{_HEAD}{key.to_bytes().hex()}\n")
        os.fsync(descriptor)
        take_name(draft, path)
