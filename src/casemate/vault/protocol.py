"""Messages between a gateway and the vault: MessagePack behind a length, on a stream socket.

The vault trusts none of it: each message is decoded into exactly one of these types with bounds on
every field, and anything else ends the connection it came on. `DeliverSecret` carries one
descriptor.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.model.errors import NotFoundError
from casemate.model.vault import (
    MAX_AT_ONCE,
    MAX_OVERLAP_SECONDS,
    MAX_SEALED_BYTES,
    MAX_VALUE_BYTES,
    NewValue,
)
from casemate.vault import errors
from casemate.vault.interface import Mac, Purpose
from casemate.vault.verifying import MAX_SIGNATURE_BYTES, MAX_SIGNED_BYTES

MAX_FRAME = 16 * 1024 * 1024
ASKING = Bounds(frame=MAX_FRAME, unsent=80 * 1024 * 1024)
ANSWERING = Bounds(frame=MAX_FRAME, unsent=32 * 1024 * 1024, pauses=True)
MAX_WRAPPED_VALUE = 64 * 1024
MAX_CLAIMS_BYTES = 16 * 1024
MAX_PUBLIC_KEY_BYTES = 4096
MAX_TO_SIGN = 256 * 1024
MAX_STATEMENT = 64 * 1024
"""About playbooks: one version, or a list of the newest ones."""
MAX_SIGNATURE = 128

Name = Annotated[str, msgspec.Meta(max_length=63)]
Version = Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
Small = Annotated[bytes, msgspec.Meta(max_length=MAX_WRAPPED_VALUE + 64)]
Use = Annotated[str, msgspec.Meta(max_length=1024)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class GetDataKey(Message, frozen=True, tag=1):
    """`Vault.data_key`."""

    project: Name
    purpose: Purpose
    version: Version | None


class GetPublicKey(Message, frozen=True, tag=2):
    """`Vault.public_key`."""


class PutSecret(Message, frozen=True, tag=3):
    """`Vault.put_secret`."""

    project: Name
    name: Name
    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES)]
    by: Annotated[str, msgspec.Meta(max_length=200)]


Sealed = tuple[Name, Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES)]]


class PutSecrets(Message, frozen=True, tag=22):
    """`Vault.put_secrets`."""

    project: Name
    sealed: Annotated[tuple[Sealed, ...], msgspec.Meta(max_length=MAX_AT_ONCE)]
    by: Annotated[str, msgspec.Meta(max_length=200)]


class DeliverSecret(Message, frozen=True, tag=4):
    """`Vault.deliver_secret`."""

    project: Name
    name: Name
    version: Version | None


class ListSecrets(Message, frozen=True, tag=5):
    """`Vault.secrets`."""

    project: Name | None


class DeleteSecret(Message, frozen=True, tag=6):
    """`Vault.delete_secret`."""

    project: Name
    name: Name


class Redact(Message, frozen=True, tag=7):
    """`Vault.redact`."""

    project: Name
    texts: tuple[bytes, ...]


class HasSecrets(Message, frozen=True, tag=8):
    """`Vault.has_secrets`."""

    project: Name


class Wrap(Message, frozen=True, tag=9):
    """`Vault.wrap`."""

    use: Use
    value: Small


class Unwrap(Message, frozen=True, tag=10):
    """`Vault.unwrap`."""

    use: Use
    wrapped: Annotated[bytes, msgspec.Meta(max_length=MAX_WRAPPED_VALUE + 1024)]


class SignToken(Message, frozen=True, tag=11):
    """`Vault.sign_token`; the claims in JSON."""

    claims: Annotated[bytes, msgspec.Meta(max_length=MAX_CLAIMS_BYTES)]


class GetPublicKeys(Message, frozen=True, tag=12):
    """`Vault.public_keys`."""


class RotateMaster(Message, frozen=True, tag=13):
    """`Vault.rotate_master`."""

    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES * 4)]


class RotateDataKeys(Message, frozen=True, tag=14):
    """`Vault.rotate_data_keys`."""

    project: Name | None


class RenewSecrets(Message, frozen=True, tag=20):
    """`Vault.renew_secrets`."""

    project: Name


class RotateSigningKey(Message, frozen=True, tag=15):
    """`Vault.rotate_signing_key`."""


class GetStatus(Message, frozen=True, tag=16):
    """`Vault.status`."""


class ExportNames(Message, frozen=True, tag=17):
    """First part of `Vault.export`."""


class ExportFile(Message, frozen=True, tag=18):
    """Second part of `Vault.export`."""

    name: Annotated[str, msgspec.Meta(max_length=64)]


class VerifyHmac(Message, frozen=True, tag=19):
    """`Vault.verify_hmac`."""

    project: Name
    secret: Name
    algorithm: Mac
    message: Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNED_BYTES)]
    signature: Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNATURE_BYTES)]


class VerifyEqual(Message, frozen=True, tag=21):
    """`Vault.verify_equal`."""

    project: Name
    secret: Name
    value: Annotated[bytes, msgspec.Meta(max_length=MAX_VALUE_BYTES)]


class ResistsGuessing(Message, frozen=True, tag=37):
    """`Vault.resists_guessing`."""

    project: Name
    secret: Name


class LendSecret(Message, frozen=True, tag=28):
    """`Vault.lend_secret`."""

    project: Name
    name: Name
    public_key: Annotated[bytes, msgspec.Meta(max_length=MAX_PUBLIC_KEY_BYTES)]


class PrepareSecret(Message, frozen=True, tag=29):
    """`Vault.prepare_secret`."""

    project: Name
    name: Name
    made: NewValue | Version
    expected: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
    by: Annotated[str, msgspec.Meta(max_length=200)]


class FinishSecret(Message, frozen=True, tag=30):
    """`Vault.finish_secret`."""

    project: Name
    name: Name
    version: Version
    overlap: Annotated[float, msgspec.Meta(ge=0, le=MAX_OVERLAP_SECONDS)]


class FollowDatabase(Message, frozen=True, tag=31):
    """`VaultClient.follow`."""


class SignPlaybook(Message, frozen=True, tag=35):
    """`Vault.sign_playbook`."""

    statement: Annotated[bytes, msgspec.Meta(max_length=MAX_STATEMENT)]


class VerifyPlaybook(Message, frozen=True, tag=36):
    """`Vault.verify_playbook`."""

    statement: Annotated[bytes, msgspec.Meta(max_length=MAX_STATEMENT)]
    signature: Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNATURE)]


class NextBackup(Message, frozen=True, tag=38):
    """`Vault.next_backup`."""


Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class SignBackup(Message, frozen=True, tag=39):
    """`Vault.sign_backup`."""

    number: Count
    digest: Digest


class VerifyBackup(Message, frozen=True, tag=40):
    """`Vault.verify_backup`."""

    number: Count
    digest: Digest
    signature: Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNATURE)]


class GetStarts(Message, frozen=True, tag=41):
    """`Vault.starts`."""


class KeepStarts(Message, frozen=True, tag=42):
    """`Vault.keep_starts`."""

    starts: Count


class GetJournalEntries(Message, frozen=True, tag=43):
    """`Vault.journal_entries`."""


class KeepJournalEntries(Message, frozen=True, tag=44):
    """`Vault.keep_journal_entries`."""

    entries: Count
    lost: bool


class GetJournalKey(Message, frozen=True, tag=23):
    """`RecorderVault.journal_key`."""


class SignHead(Message, frozen=True, tag=24):
    """`RecorderVault.sign_head`."""

    head: Annotated[str, msgspec.Meta(max_length=1024)]


class AreRecordsKept(Message, frozen=True, tag=25):
    """`RecorderVault.records_kept`."""


class KeepRecords(Message, frozen=True, tag=26):
    """`RecorderVault.keep_records`."""


class GetNode(Message, frozen=True, tag=32):
    """`RecorderVault.node`."""


class Attest(Message, frozen=True, tag=33):
    """`RecorderVault.attest`."""

    digest: Digest


class IsAttested(Message, frozen=True, tag=34):
    """`RecorderVault.is_attested`."""

    node: Annotated[str, msgspec.Meta(max_length=64)]
    digest: Digest
    code: Annotated[bytes, msgspec.Meta(max_length=32)]


class SignHmac(Message, frozen=True, tag=27):
    """`MonitorVault.sign_hmac`."""

    project: Name
    secret: Name
    message: Annotated[bytes, msgspec.Meta(max_length=MAX_TO_SIGN)]


Request = (
    GetDataKey
    | GetPublicKey
    | PutSecret
    | PutSecrets
    | DeliverSecret
    | ListSecrets
    | DeleteSecret
    | Redact
    | HasSecrets
    | Wrap
    | Unwrap
    | SignToken
    | GetPublicKeys
    | RotateMaster
    | RotateDataKeys
    | RenewSecrets
    | RotateSigningKey
    | GetStatus
    | ExportNames
    | ExportFile
    | VerifyHmac
    | VerifyEqual
    | ResistsGuessing
    | LendSecret
    | PrepareSecret
    | FinishSecret
    | FollowDatabase
    | SignPlaybook
    | VerifyPlaybook
    | NextBackup
    | SignBackup
    | VerifyBackup
    | GetStarts
    | KeepStarts
    | GetJournalEntries
    | KeepJournalEntries
    | GetJournalKey
    | SignHead
    | AreRecordsKept
    | KeepRecords
    | GetNode
    | Attest
    | IsAttested
    | SignHmac
)

RECORDER = b"recorder"
"""Kind of connection by which journal and records are kept, and nothing else can be asked for."""
MONITOR = b"monitor"
"""Kind of connection by which alerts are signed and channels signed in to, with the secrets alone
that the node's settings name for it."""
_OF_RECORDER = frozenset({Purpose.JOURNAL, Purpose.RECORDS})
_RECORDER_S = (
    *(GetJournalKey, SignHead, AreRecordsKept, KeepRecords),
    *(GetNode, Attest, IsAttested),
)


def is_allowed(request: Request, kind: bytes, secrets: frozenset[str] = frozenset()) -> bool:
    """Tell whether this kind of connection may ask for it: what is the one's is not the other's.

    `secrets` are those of the monitor, as `PROJECT/NAME`.
    """
    if kind == RECORDER:
        own_key = isinstance(request, GetDataKey) and request.purpose in _OF_RECORDER
        return own_key or isinstance(request, _RECORDER_S)
    if kind == MONITOR:
        if isinstance(request, GetDataKey):
            return request.purpose is Purpose.MONITOR and not request.project
        if isinstance(request, SignHmac):
            return f"{request.project}/{request.secret}" in secrets
        return isinstance(request, DeliverSecret) and f"{request.project}/{request.name}" in secrets
    if isinstance(request, GetDataKey):
        return request.purpose not in _OF_RECORDER and request.purpose is not Purpose.MONITOR
    return not isinstance(request, (*_RECORDER_S, SignHmac))


ERRORS = Errors(
    errors.VaultError,
    NotFoundError,
    errors.VaultUnavailableError,
    errors.VaultUnsureError,
    errors.VaultInputError,
    errors.VaultConflictError,
    errors.VaultDamagedError,
    errors.VaultMissingError,
    errors.WrongMasterKeyError,
    errors.MasterKeySourceError,
    errors.DecryptionError,
)
decode_request = msgspec.msgpack.Decoder(Request).decode
