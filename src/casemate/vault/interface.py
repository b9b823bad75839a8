"""What the rest of the node asks of the vault, which is a process of its own.

The vault alone ever holds the master key, the key of secrets, and the values of secrets. The
gateway gets data keys of single purposes, and secrets' values pass it only sealed (on their way
in) or by a descriptor that it hands on (on their way out).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from casemate.model.vault import NewValue, SecretInfo, SecretVersion, VaultStatus


class Purpose(StrEnum):
    """What a data key is for. Each is derived from the project's key (HKDF-SHA-256, RFC 5869)."""

    STORE = "store"
    """Page encryption of the node's own records; project is `""`."""
    DATA = "data"
    """Page encryption of a project's tables, queues and object index."""
    OBJECTS = "objects"
    """Content of objects, AES-256-GCM."""
    BUNDLES = "bundles"
    """Bundle archives, AES-256-GCM; project is `""`."""
    JOURNAL = "journal"
    """Entries of the journal, AES-256-GCM; `""`: those of no project."""
    DECOYS = "decoys"
    """Names and values of a project's decoys. Encrypts nothing."""
    RECORDINGS = "recordings"
    """What went into invocations and came out of them, AES-256-GCM."""
    RECORDS = "records"
    """Page encryption of the records of invocations; project is `""`."""
    MONITOR = "monitor"
    """What the monitor remembers, AES-256-GCM; project is `""`."""
    PROOFS = "proofs"
    """Proves what a control database that nodes share holds; project is `""`. Encrypts nothing."""
    NUMBERS = "numbers"
    """What nodes that share their state tell each other of what they count, AES-256-GCM; project is
    `""`."""


class Mac(StrEnum):
    """How a sender signs (HMAC, RFC 2104)."""

    SHA256 = "hmac-sha256"
    """The key is the secret's value as it is."""
    STANDARD = "hmac-sha256-whsec"
    """As Standard Webhooks 1.0 has it: of a value `whsec_...` the key is what follows, decoded
    from base64; any other value is the key as it is."""


class JournalKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of the key that signs the heads of the node's journal."""

    name: str
    """Name of the key and origin of the heads."""
    public: bytes
    made: bool
    """Whether it was made just now: there can be no journal yet."""


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """32 bytes for one purpose. The representation does not show them."""

    version: int
    key: bytes

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"DataKey(version={self.version})"


class Vault(Protocol):
    """The vault. Raises VaultError (of `casemate.vault`) with what is wrong and the next step,
    NotFoundError for a project's secret or version that is not there."""

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        """Return a data key: the given version, or the newest, made if there is none."""
        ...

    async def public_key(self) -> bytes:
        """Return the public key (ML-KEM-768, X25519) to which values are sealed on their way in."""
        ...

    async def put_secret(self, project: str, name: str, sealed: bytes, by: str) -> SecretVersion:
        """Keep a new version of a secret, given as `casemate.vault.seal_value` made it."""
        ...

    async def put_secrets(
        self, project: str, sealed: Sequence[tuple[str, bytes]], by: str
    ) -> tuple[SecretVersion, ...]:
        """Keep a new version of each secret (name, sealed value), all of them or none."""
        ...

    async def deliver_secret(
        self, project: str, name: str, version: int | None, descriptor: int
    ) -> SecretVersion:
        """Write a secret's value to a descriptor (the writing end of a pipe), and close it there.

        The caller keeps and closes its own copy. The value never enters the caller's memory.
        """
        ...

    async def verify_hmac(
        self, project: str, secret: str, algorithm: Mac, message: bytes, signature: bytes
    ) -> bool:
        """Tell whether `signature` is that of `message` under the newest version of a secret, or
        under the one that a rotation has replaced and is accepted yet.

        Compared in constant time; the value and the right signature stay in the vault.
        NotFoundError if there is no such secret.
        """
        ...

    async def verify_equal(self, project: str, secret: str, value: bytes) -> bool:
        """Tell whether `value` is that of a secret, as in `verify_hmac`, in constant time.

        Whoever lets strangers ask bounds how often: each answer is one guess.
        """
        ...

    async def resists_guessing(self, project: str, secret: str) -> bool:
        """Tell whether what `verify_hmac` takes is too long for strangers to come upon by guesses.

        So how often they guess needs no bound but that of its cost. NotFoundError if there is no
        such secret.
        """
        ...

    async def prepare_secret(
        self, project: str, name: str, made: NewValue | int, expected: int, by: str
    ) -> SecretVersion:
        """Make a version that is not in use yet: of a new value, or of that of a former version.

        `expected` is the version in use (0: none), or VaultConflictError. What was prepared in the
        same way, and not ended, is that again: whoever was told of it may have set it already.
        """
        ...

    async def finish_secret(
        self, project: str, name: str, version: int, overlap: float
    ) -> SecretVersion:
        """Have what was prepared in use; the one before is accepted for `overlap` seconds more.

        Done once more it is the same. VaultConflictError if another one came into use since.
        """
        ...

    async def lend_secret(self, project: str, name: str, public_key: bytes) -> bytes:
        """Return the newest version of the login of a package index, sealed to a public key.

        `casemate.vault.sealed.open_lent` opens it. VaultInputError for any other secret: what is
        for functions goes to nobody else.
        """
        ...

    async def secrets(self, project: str | None) -> tuple[SecretInfo, ...]:
        """Return what secrets there are, sorted by project and name."""
        ...

    async def delete_secret(self, project: str, name: str) -> None:
        """Forget a secret with all its versions."""
        ...

    async def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        """Replace every known secret value of the project in `texts` by `[redacted:NAME]`.

        Finds a value also in base64, percent-encoding, hexadecimal and JSON's escapes. Values
        under 6 bytes are not searched for (`put_secret` refuses those).
        """
        ...

    async def has_secrets(self, project: str) -> bool:
        """Tell whether a project has any secret, so that texts need redacting at all."""
        ...

    def known_secrets(self, project: str) -> bool | None:
        """Tell without waiting what `has_secrets` told last; None if that may have changed."""
        ...

    async def wrap(self, context: str, value: bytes) -> bytes:
        """Encrypt a small value under the node's own key, bound to `context`."""
        ...

    async def unwrap(self, context: str, wrapped: bytes) -> bytes:
        """Return what `wrap` was given. VaultError if it is not exactly that, in that context."""
        ...

    async def sign_token(self, claims: dict[str, object]) -> str:
        """Return a JWT (RFC 7519) of the claims, signed with EdDSA (RFC 8037), `kid` set."""
        ...

    async def public_keys(self) -> dict[str, object]:
        """Return the JWKS (RFC 7517) by which tokens of `sign_token` are verified."""
        ...

    async def sign_playbook(self, statement: bytes) -> bytes:
        """Return the signature of a statement about playbooks, by a key that signs nothing else."""
        ...

    async def verify_playbook(self, statement: bytes, signature: bytes) -> bool:
        """Tell whether this vault has made `signature` for `statement` by `sign_playbook`."""
        ...

    async def next_backup(self) -> int:
        """Return the number of a new backup of the node, which no other has."""
        ...

    async def sign_backup(self, number: int, digest: bytes) -> bytes:
        """Return the signature of what is in the newest backup (SHA-256), with its number."""
        ...

    async def verify_backup(self, number: int, digest: bytes, signature: bytes) -> bool:
        """Tell whether this vault has made `signature` by `sign_backup`."""
        ...

    async def starts(self) -> int:
        """Return the number of the newest start of a node that is alone, 0 if none was kept."""
        ...

    async def keep_starts(self, starts: int) -> None:
        """Keep that number. VaultInputError for one that goes back."""
        ...

    async def journal_entries(self) -> int:
        """Return how many entries the journal of a node that is alone had, 0 if none were kept."""
        ...

    async def keep_journal_entries(self, entries: int, *, lost: bool = False) -> None:
        """Keep that number. VaultInputError for fewer than before if none are `lost`."""
        ...

    async def rotate_master(self, sealed: bytes) -> VaultStatus:
        """Wrap everything with another master key; the old one is not needed after it.

        `sealed` is what `casemate.vault.engine.seal_master` made of the new key, its source, and
        the present key as proof. The vault is confined and can reach no source itself.
        """
        ...

    async def rotate_data_keys(self, project: str | None) -> tuple[str, ...]:
        """Make a new version of a project's key (None: of all); return the projects.

        What is stored stays readable by the older versions; new writes use the new one. Raises
        NotFoundError for a project that has no key.
        """
        ...

    async def renew_secrets(self, project: str) -> bool:
        """Encrypt some of a project's secrets anew that are not under its newest key.

        Returns whether there may be more. Few at a time, since the vault does nothing else
        meanwhile.
        """
        ...

    async def rotate_signing_key(self) -> str:
        """Sign with a new key from now on; the old one is published for a day more. Its kid."""
        ...

    async def export(self) -> dict[str, bytes]:
        """Return the vault's files by name, all of one moment and all ciphertext, for a backup.

        The master key is not among them.
        """
        ...

    async def status(self) -> VaultStatus:
        """Return how the vault is."""
        ...
