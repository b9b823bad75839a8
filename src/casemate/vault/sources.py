"""Where the master key comes from, and how it is made there or fetched.

| source | |
|---|---|
| `file:PATH` | 32 bytes as base64 or hexadecimal; made with mode 0600 for a new vault |
| `env:NAME` | the same text in a variable, which is wiped from the process's memory |
| `passphrase` | asked on the terminal; the key is Argon2id (RFC 9106) of it |
| `passphrase-file:PATH` | the passphrase is the first line of a file |
| `fd:N` | the passphrase is the first line of an open descriptor |
| `command:PROGRAM ARGS` | a plug-in for a key service; only the wrapped key is kept |
| `transit:PATH`, `kms:PATH` | a key service that a file names (`key_services`); likewise |

A plug-in is run with `wrap` or `unwrap` as its last argument, reads bytes on standard input and
writes bytes on standard output. What it must be given to unwrap, and the salt of a passphrase, are
no secrets: they are in the head of the vault's file.
"""

from __future__ import annotations

import getpass
import os
import re
import unicodedata
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from casemate.vault.errors import MasterKeySourceError
from casemate.vault.key_material import (
    MAX_WRAPPED,
    create_key_file,
    first_line,
    has_key_file,
    parse_key,
    read_descriptor,
    read_private,
    run_command,
    take_variable,
)
from casemate.vault.random_key import KEY_BYTES, new_key

MIN_PASSPHRASE = 12
MAX_PASSPHRASE_BYTES = 4096
MAX_KEY_TEXT = 4096
_SALT_BYTES = 16
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SourceKind(StrEnum):
    """Kinds of sources."""

    FILE = "file"
    ENVIRONMENT = "env"
    PASSPHRASE = "passphrase"  # noqa: S105  # nosec B105
    PASSPHRASE_FILE = "passphrase-file"  # noqa: S105  # nosec B105
    DESCRIPTOR = "fd"
    COMMAND = "command"
    TRANSIT = "transit"
    KMS = "kms"


_PASSPHRASES = (SourceKind.PASSPHRASE, SourceKind.PASSPHRASE_FILE, SourceKind.DESCRIPTOR)


READ_ONCE = (SourceKind.ENVIRONMENT, SourceKind.PASSPHRASE, SourceKind.DESCRIPTOR)
"""Those that are gone once they were read."""
_SERVICES = (SourceKind.COMMAND, SourceKind.TRANSIT, SourceKind.KMS)
"""Those that wrap a key and have none."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A source of a master key."""

    kind: SourceKind
    argument: str = ""

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.kind.value}:{self.argument}" if self.argument else self.kind.value


class PassphraseCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Argon2id takes. Bounded, so that a changed file cannot exhaust the host."""

    time: Annotated[int, msgspec.Meta(ge=1, le=16)] = 3
    memory: Annotated[int, msgspec.Meta(ge=19 * 1024, le=1024 * 1024)] = 128 * 1024
    """In KiB."""
    lanes: Annotated[int, msgspec.Meta(ge=1, le=8)] = 4


class KeyParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept beside the vault to have its master key again; nothing secret."""

    salt: Annotated[bytes, msgspec.Meta(max_length=64)] = b""
    cost: PassphraseCost | None = None
    wrapped: Annotated[bytes, msgspec.Meta(max_length=MAX_WRAPPED)] = b""


def parse_source(text: str) -> Source:
    """Return the source that `text` names. Raises MasterKeySourceError."""
    word, _, argument = text.partition(":")
    kind = next((kind for kind in SourceKind if kind.value == word), None)
    good = {
        SourceKind.FILE: argument.startswith("/"),
        SourceKind.ENVIRONMENT: _VARIABLE.fullmatch(argument) is not None,
        SourceKind.PASSPHRASE: text == "passphrase",
        SourceKind.PASSPHRASE_FILE: argument.startswith("/"),
        SourceKind.DESCRIPTOR: re.fullmatch(r"[0-9]{1,7}", argument, re.ASCII) is not None,
        SourceKind.COMMAND: argument.startswith("/"),
        SourceKind.TRANSIT: argument.startswith("/"),
        SourceKind.KMS: argument.startswith("/"),
    }
    if kind is None or not good[kind] or "\0" in text:
        raise MasterKeySourceError(
            f"{text[:80]!r} is no source of a master key.",
            next_step="Use file:/PATH, env:NAME, passphrase, passphrase-file:/PATH, fd:NUMBER, "
            "transit:/PATH, kms:/PATH or command:/PROGRAM ARGUMENTS.",
        )
    return Source(kind=kind, argument=argument)


class KeySource:
    """Makes or fetches a master key.

    Blocks, and needs the rights of whoever may read the source: it is used before the vault
    gives up its rights, and by the command line to rotate.
    """

    def __init__(
        self,
        source: Source,
        *,
        forbidden: Path | None = None,
        taken: bytes | None = None,
    ) -> None:
        """Use `source`; a key below the folder `forbidden` (the node's data) is refused.

        `taken` is the value of the variable if it was taken from the environment before.
        """
        self.source = source
        self._taken = taken
        self._forbidden = forbidden

    def create(self) -> tuple[bytes, KeyParameters]:
        """Return a key for a new vault or a rotation, made where the source is a file."""
        kind, argument = self.source.kind, self.source.argument
        if kind in _SERVICES:
            key = new_key()
            wrapped = self._by_service("wrap", key)
            if not wrapped or key in wrapped:
                raise MasterKeySourceError(
                    f"{self._service} did not wrap the key: it gave "
                    f"{'the key itself' if wrapped else 'nothing'}.",
                    next_step=f"Mend {argument.split()[0]}.",
                )
            if self._by_service("unwrap", wrapped) != key:
                raise MasterKeySourceError(
                    f"{self._service} does not unwrap what it wrapped.",
                    next_step=f"Mend {argument.split()[0]}.",
                )
            return key, KeyParameters(wrapped=wrapped)
        if kind in _PASSPHRASES:
            parameters = KeyParameters(salt=os.urandom(_SALT_BYTES), cost=PassphraseCost())
            return self._from_passphrase(parameters, twice=True), parameters
        if kind is SourceKind.FILE and not has_key_file(Path(argument)):
            self._refuse_inside(argument)
            return create_key_file(Path(argument)), KeyParameters()
        return self.read(KeyParameters()), KeyParameters()

    def read(self, parameters: KeyParameters) -> bytes:
        """Return the key of an existing vault. Raises MasterKeySourceError."""
        kind, argument = self.source.kind, self.source.argument
        if kind is SourceKind.FILE:
            self._refuse_inside(argument)
            return parse_key(read_private(Path(argument), MAX_KEY_TEXT), self.source.text)
        if kind is SourceKind.ENVIRONMENT:
            text = take_variable(argument) if self._taken is None else self._taken
            return parse_key(text, self.source.text)
        if kind in _SERVICES:
            if not parameters.wrapped:
                raise _other_kind(self.source, "a wrapped key")
            key = self._by_service("unwrap", parameters.wrapped)
            if len(key) != KEY_BYTES:
                raise MasterKeySourceError(
                    f"{self._service} returned {len(key)} bytes, expected {KEY_BYTES}.",
                    next_step=f"Mend {argument.split()[0]}, or give the vault's own source.",
                )
            return key
        if parameters.cost is None or not parameters.salt:
            raise _other_kind(self.source, "a passphrase's salt")
        return self._from_passphrase(parameters, twice=False)

    @property
    def _service(self) -> str:
        return "The program" if self.source.kind is SourceKind.COMMAND else "The key service"

    def _by_service(self, verb: str, data: bytes) -> bytes:
        kind, argument = self.source.kind, self.source.argument
        if kind is SourceKind.COMMAND:
            return run_command(argument, verb, data)
        # Who has a file or a passphrase needs no client.
        from casemate.vault import key_services

        self._refuse_inside(argument)
        asked = key_services.transit if kind is SourceKind.TRANSIT else key_services.kms
        return asked(argument, verb, data)

    def _refuse_inside(self, path: str) -> None:
        if self._forbidden is None:
            return
        if not self._forbidden.exists():
            return
        # By inode, since the same folder may be mounted at several paths.
        real = Path(os.path.realpath(path))
        if any(parent.exists() and parent.samefile(self._forbidden) for parent in real.parents):
            raise MasterKeySourceError(
                f"The master key {path} is inside the data folder {self._forbidden}: who "
                "copies the data would copy its key.",
                next_step="Keep it elsewhere, for example file:/etc/casemate/master.key.",
            )

    def _from_passphrase(self, parameters: KeyParameters, *, twice: bool) -> bytes:
        cost = parameters.cost or PassphraseCost()
        text = self._passphrase(twice=twice)
        if len(text) < MIN_PASSPHRASE:
            raise MasterKeySourceError(
                f"The passphrase has {len(text)} characters, expected at least {MIN_PASSPHRASE}.",
                next_step="Use several random words.",
            )
        # Whoever only names a source does without it.
        from argon2.low_level import Type, hash_secret_raw

        return hash_secret_raw(
            unicodedata.normalize("NFC", text).encode(),
            parameters.salt,
            time_cost=cost.time,
            memory_cost=cost.memory,
            parallelism=cost.lanes,
            hash_len=KEY_BYTES,
            type=Type.ID,
        )

    def _passphrase(self, *, twice: bool) -> str:
        kind, argument = self.source.kind, self.source.argument
        if kind is SourceKind.PASSPHRASE_FILE:
            self._refuse_inside(argument)
            return first_line(read_private(Path(argument), MAX_PASSPHRASE_BYTES))
        if kind is SourceKind.DESCRIPTOR:
            return first_line(read_descriptor(int(argument), MAX_PASSPHRASE_BYTES))
        try:
            text = getpass.getpass("Passphrase of the vault: ")
            again = getpass.getpass("The same again: ") if twice else text
        except (EOFError, OSError) as error:
            raise MasterKeySourceError(
                "There is no terminal to ask for the passphrase on.",
                next_step="Use passphrase-file:/PATH or fd:NUMBER.",
            ) from error
        if text != again:
            raise MasterKeySourceError(
                "The two passphrases are not the same.", next_step="Type it again."
            )
        return text


def _other_kind(source: Source, missing: str) -> MasterKeySourceError:
    return MasterKeySourceError(
        f"The vault was not made with a source like {source.text}: its file has no {missing}.",
        next_step="Give the source that the vault's error or `casemate vault status` names.",
    )
