"""Whether a backup is, as a whole, what the node's vault has signed, before anything is made of it.

The vault that is in the backup is opened by the master key, which no backup holds, in a process of
its own as ever: whoever can write where backups are kept has no other vault that this key opens.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Collection
from pathlib import Path
from typing import IO

from casemate.backup.archive import (
    BLOCK,
    VAULT,
    ArchiveReader,
    BackupError,
    Entry,
    Manifest,
    Signed,
    damaged,
    encode,
    header,
)
from casemate.backup.parts import differing, statement
from casemate.kernel.drafts import temporary_folder
from casemate.model.processes import VAULT_UID
from casemate.vault.client import VaultClient
from casemate.vault.envelope import key_id
from casemate.vault.errors import VaultError
from casemate.vault.folder import MAX_FILE
from casemate.vault.key_material import has_key_file, parse_key, read_private
from casemate.vault.own_record import OWN_FILE
from casemate.vault.sources import MAX_KEY_TEXT, parse_source
from casemate.vault.start import VaultProcess, start_vault
from casemate.vault.state import STATE_FILE, read_header

_LOSS = "backup/"
_LOSS_CHARACTERS = 16
_OPENED = (f"{VAULT}{STATE_FILE}", f"{VAULT}{OWN_FILE}")
"""What a vault needs to be opened; no secret."""
_MOST_KEYS = 256


def read_manifest(archive: Path) -> Manifest:
    """Return what a backup says that it holds, not proven. Raises BackupError."""
    reader = ArchiveReader()
    with _opened(archive) as file:
        while reader.manifest is None and (block := file.read(BLOCK)):
            reader.feed(block)  # no block behind the manifest: that is nobody's business here
    return reader.manifest or reader.finish()[0]


def loss_of(manifest: Manifest) -> str:
    """Return the name by which it is accepted that a backup, and no other, is not proven."""
    return f"{_LOSS}{hashlib.sha256(encode(manifest)).hexdigest()[:_LOSS_CHARACTERS]}"


def place_of_key(archive: Path, place: str) -> str:
    """Return where the master key of a backup's node is: `place`, or in a file beside that.

    Beside it lie the keys of this user's other nodes. Where the backup says that its key was is not
    looked at: whoever wrote the backup would choose the key. Raises BackupError.
    """
    own = Path(parse_source(place).argument)
    if has_key_file(own):
        return place
    content = _files_of_vault(archive, read_manifest(archive)).get(STATE_FILE)
    if content is None:
        return place
    try:
        wanted = read_header(content).key_id
        beside = sorted(own.parent.iterdir())[:_MOST_KEYS]
    except (OSError, VaultError):
        return place
    return next((f"file:{each}" for each in beside if _key_id(each) == wanted), place)


def _key_id(file: Path) -> str | None:
    try:
        return key_id(parse_key(read_private(file, MAX_KEY_TEXT), str(file)))
    except (OSError, VaultError):
        return None  # no key, or not this user's


def require_signed(
    archive: Path, master_key: str, accepted_losses: Collection[str] = ()
) -> Manifest:
    """Return what a backup holds, which the vault in it has signed. Raises BackupError.

    `master_key` is where that vault's is. `accepted_losses` may have the name of this backup
    (`loss_of`): then it may have no signature, or none that can be verified here, but no wrong one.
    """
    manifest = read_manifest(archive)
    accepted = loss_of(manifest) in accepted_losses
    signed = manifest.signed
    if signed is None:
        if accepted:
            return manifest
        why = "The backup has no signature: an earlier Casemate made it, or it was taken away."
        raise _unproven(manifest, why)
    if others := differing(manifest):
        raise damaged(f"not as its node has signed it: {', '.join(others[:8])}")
    try:
        is_signed = _verified(archive, manifest, signed, master_key)
    except VaultError as error:
        if accepted:
            return manifest
        why = f"The backup's signature cannot be verified. {error.message}"
        step = "Name where the master key of its node is: --master-key. "
        raise _unproven(manifest, why, step) from error
    if not is_signed:
        raise damaged("what it says of its parts, its time and its node is not what was signed")
    return manifest


def _unproven(manifest: Manifest, why: str, step: str = "") -> BackupError:
    return BackupError(
        f"{why} So it may be made of several. Nothing was restored.",
        next_step=f"{step}To use it all the same: --accept-loss {loss_of(manifest)}",
    )


def _verified(archive: Path, manifest: Manifest, signed: Signed, master_key: str) -> bool:
    """Ask the vault that is in the archive. Raises BackupError, VaultError."""
    uid = VAULT_UID if os.geteuid() == 0 else None
    with temporary_folder("casemate-backup-") as folder:
        home = folder / "vault"
        home.mkdir(mode=0o700)
        for name, content in _files_of_vault(archive, manifest).items():
            (home / name).write_bytes(content)
            (home / name).chmod(0o600)
        if uid is not None:
            for path in (home, *home.iterdir()):
                os.chown(path, uid, uid)
        vault = start_vault(home, master_key, create=False, uid=uid)
        try:
            return asyncio.run(_ask(vault, signed, statement(manifest)))
        finally:
            vault.close()


async def _ask(vault: VaultProcess, signed: Signed, digest: bytes) -> bool:
    client = VaultClient(vault.connect(), asyncio.get_running_loop())
    try:
        return await client.verify_backup(signed.number, digest, signed.signature)
    finally:
        client.close()


def _files_of_vault(archive: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return what opens the vault, from where it must stand in the archive."""
    found = {}
    at = _padded(len(encode(manifest)))
    with _opened(archive) as file:
        for entry in manifest.files:
            if entry.name in _OPENED:
                file.seek(at)
                found[entry.name.removeprefix(VAULT)] = _content(file, entry)
            at += _padded(entry.size)
    return found


def _padded(size: int) -> int:
    return BLOCK + size + -size % BLOCK


def _content(file: IO[bytes], entry: Entry) -> bytes:
    if entry.size > MAX_FILE or file.read(BLOCK) != header(entry.name, entry.size):
        raise damaged(f"{entry.name} is not where its manifest has it")
    content = file.read(entry.size)
    if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), entry.sha256):
        raise damaged(f"{entry.name} is not what was backed up: its hash is another one")
    return content


def _opened(archive: Path) -> IO[bytes]:
    try:
        return archive.open("rb")
    except OSError as error:
        raise BackupError(
            f"The backup {archive} cannot be read: {error.strerror}.",
            next_step="Name what `casemate backup` wrote.",
        ) from error
