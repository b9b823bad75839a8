"""What a vault that nodes share asks its gateway for: what is in the database, and to change it.

The gateway has the way to the database, and is believed nothing: what it gives is opened with the
master key, of the same vault, and newer than what the vault has seen.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Callee, Errors, Number
from casemate.child.channel import Bounds
from casemate.model.vault import MAX_AT_ONCE, MAX_VALUE_BYTES
from casemate.vault import errors
from casemate.vault.folder import MAX_FILE

KEEPER = b"keeper"
"""Kind of connection by which the vault asks, and the gateway answers."""
MAX_SECRET_FILE = MAX_VALUE_BYTES + 1024
MAX_FILES = MAX_AT_ONCE
"""Of secrets, in one message."""
MAX_REMOVED = 4096
ASK_SECONDS = 12.0
"""An answer that takes longer, and the vault gives the connection up. The gateway is quicker."""
_MAX_FRAME = 24 * 1024 * 1024
"""A state and the most files that go with it."""
KEEPING = Bounds(frame=_MAX_FRAME, unsent=2 * _MAX_FRAME, pauses=True)

FileName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}-[0-9a-f]{16}\.secret\Z")]
Digest = Annotated[bytes, msgspec.Meta(max_length=32)]
Content = Annotated[bytes, msgspec.Meta(max_length=MAX_SECRET_FILE)]
File = tuple[FileName, Content]


class Question(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class GetState(Question, frozen=True, tag=1):
    """Give the state, but not what has the digest that is known already."""

    known: Digest


class StateFound(msgspec.Struct, frozen=True, array_like=True):
    """The answer, None where there is no vault: `content` is empty if it is what is known."""

    digest: Digest
    content: Annotated[bytes, msgspec.Meta(max_length=MAX_FILE)]


class GetFiles(Question, frozen=True, tag=2):
    """Give files of secrets: as many as are asked for, None for what is not there."""

    names: Annotated[tuple[FileName, ...], msgspec.Meta(max_length=MAX_FILES)]


FilesFound = Annotated[tuple[Content | None, ...], msgspec.Meta(max_length=MAX_FILES)]


class KeepFiles(Question, frozen=True, tag=3):
    """Keep files that no state names yet."""

    files: Annotated[tuple[File, ...], msgspec.Meta(max_length=MAX_FILES)]


class ChangeVault(Question, frozen=True, tag=4):
    """Put a state in the place of the one with the digest `expected`, and files with it.

    The answer is whether it was there. An empty `expected`: that there is none.
    """

    expected: Digest
    generation: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)]
    content: Annotated[bytes, msgspec.Meta(max_length=MAX_FILE)]
    added: Annotated[tuple[File, ...], msgspec.Meta(max_length=MAX_FILES)]
    removed: Annotated[tuple[FileName, ...], msgspec.Meta(max_length=MAX_REMOVED)]


ERRORS = Errors(errors.VaultUnavailableError, errors.VaultUnsureError)
GATEWAY = Callee(
    name="gateway",
    bounds=KEEPING,
    pending=4,
    seconds=ASK_SECONDS,
    errors=ERRORS,
    unavailable=errors.VaultUnavailableError,
    invalid=errors.VaultInputError,
)
decode_question = msgspec.msgpack.Decoder(GetState | GetFiles | KeepFiles | ChangeVault).decode
