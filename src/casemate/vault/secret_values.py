"""Secrets: each version's value in a file of its own, never changed once it is written.

A file's name holds the generation of the state that first names it, and random digits; both tell
nothing about the secret. Its associated data names vault, file, project, secret and version, so a
file that was moved, swapped or brought back from an older time does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from casemate.model.errors import NotFoundError
from casemate.model.vault import NewValue, SecretInfo, SecretVersion
from casemate.vault import envelope
from casemate.vault.data_keys import DataKeys
from casemate.vault.envelope import context
from casemate.vault.errors import (
    DecryptionError,
    VaultConflictError,
    VaultDamagedError,
    VaultError,
)
from casemate.vault.made_values import make
from casemate.vault.open_state import OpenState
from casemate.vault.sealed import check_value, secret_info
from casemate.vault.state import STATE_FILE, SecretRecord

MAX_VERSIONS = 16
"""Versions kept of a secret; the oldest goes when there are more."""
MAX_RECORDS = 20_000
_MAGIC = b"CSMSECR\x01"
_FILE = re.compile(r"([0-9a-f]{16})-[0-9a-f]{16}\.secret")
_SEAL_BYTES = 16
_RENEWED_AT_ONCE = 32
"""Two fsyncs each: more would keep who waits for a secret waiting."""


def shown(record: SecretRecord) -> SecretVersion:
    """Return a record as others may see it."""
    return SecretVersion(
        project=record.project,
        name=record.name,
        version=record.version,
        created_at=record.created_at,
        created_by=record.created_by,
        until=record.until if record.replaced_at else None,
        pending=bool(record.made),
        value_of=record.value_of,
    )


def _damaged(record: SecretRecord, state: str) -> VaultDamagedError:
    what = f"version {record.version} of secret {record.project}/{record.name}"
    return VaultDamagedError(
        f"The file {record.file} with {what} {state}.",
        next_step="Restore the folder data/vault from a backup, or remove the secret "
        f"(casemate secrets rm {record.project}/{record.name}) and set it again.",
    )


def _in_use(records: Sequence[SecretRecord]) -> SecretRecord | None:
    """Return the newest of a secret that is not prepared only."""
    return next((each for each in reversed(records) if not each.made), None)


def _dropped(before: Sequence[SecretRecord]) -> list[SecretRecord]:
    """Return what goes when one more comes: the oldest, and what was only prepared."""
    oldest = list(before[: max(0, len(before) + 1 - MAX_VERSIONS)])
    return oldest + [each for each in before if each.made and each not in oldest]


class SecretValues:
    """The secrets of a vault."""

    def __init__(self, opened: OpenState, keys: DataKeys) -> None:
        """Use those in `opened`."""
        self._opened = opened
        self._keys = keys
        self._by_name: dict[str, dict[str, list[SecretRecord]]] = {}
        self.index()

    def index(self) -> None:
        """Find secrets by what the state says now."""
        found: dict[str, dict[str, list[SecretRecord]]] = {}
        for record in self._opened.state.secrets:
            found.setdefault(record.project, {}).setdefault(record.name, []).append(record)
        self._by_name = found

    @classmethod
    def of(cls, opened: OpenState) -> SecretValues:
        """Return those of a state with keys of its own."""
        return cls(opened, DataKeys(opened))

    def sweep(self, *, remove: Callable[[str], None] | None = None) -> None:
        """Remove files that no state names, what a killed vault left. Raises VaultDamagedError.

        One from the future says that the state is old, but to who has his own way to `remove` them:
        the nodes that share the vault have said that it is the newest.
        """
        named = {record.file for record in self._opened.state.secrets}
        orphans = []
        for name in self._opened.folder.names():
            match = _FILE.fullmatch(name)
            if match is None or name in named:
                continue
            if remove is None and int(match[1], 16) > self._opened.header.generation + 1:
                raise VaultDamagedError(
                    f"{STATE_FILE} is older than the file {name} beside it: it was brought back "
                    "from an earlier time. Nothing was changed.",
                    next_step="Restore the whole folder data/vault from one backup.",
                )
            orphans.append(name)
        for name in orphans:
            (remove or self._opened.folder.remove)(name)

    def _info(self, record: SecretRecord) -> bytes:
        return context(
            "secret",
            self._opened.vault,
            record.file,
            record.project,
            record.name,
            record.version,
            record.key,
        )

    def _key(self, record: SecretRecord) -> bytes:
        return self._keys.key(
            record.project, record.key, context("secrets", self._opened.vault, record.project)
        )

    def value(self, record: SecretRecord) -> bytes:
        """Return the value of one version. Raises VaultDamagedError."""
        data = self._opened.folder.read(record.file)
        if data is None:
            raise _damaged(record, "is missing")
        try:
            if not data.startswith(_MAGIC):
                raise DecryptionError
            return envelope.decrypt(self._key(record), data[len(_MAGIC) :], self._info(record))
        except DecryptionError:
            raise _damaged(record, "was changed or belongs elsewhere") from None

    def sealed(self, file: str) -> bytes | None:
        """Return a file as it is, None if the state names none such. Raises VaultDamagedError."""
        record = next((each for each in self._opened.state.secrets if each.file == file), None)
        if record is None:
            return None
        data = self._opened.folder.read(file)
        if data is None:
            raise _damaged(record, "is missing")
        return data

    def find(self, project: str, name: str, version: int | None) -> SecretRecord:
        """Return one version's record, by default the one in use. Raises NotFoundError.

        One that a rotation has replaced is there until its overlap is over.
        """
        records = self._by_name.get(project, {}).get(name, [])
        record = _in_use(records)
        if version is not None:
            record = next((each for each in records if each.version == version), None)
        if record is not None and record.serves(time.time()):
            return record
        what = f"secret {project}/{name}" + (f" with version {version}" if version else "")
        raise NotFoundError(
            f"There is no {what}.", next_step=f"Set it: `casemate secrets set {project}/{name}`"
        )

    def reading(
        self, project: str, name: str, version: int | None
    ) -> tuple[SecretVersion, Callable[[], bytes]]:
        """Return a version as shown and the function that decrypts its value."""
        record = self.find(project, name, version)
        return shown(record), lambda: self.value(record)

    def accepted(self, project: str, name: str) -> tuple[bytes, ...]:
        """Return the value in use, and the one before it while a rotation has that accepted.

        Raises NotFoundError, VaultDamagedError.
        """
        found = self.find(project, name, None)
        now = time.time()
        beside = [
            each
            for each in self._by_name[project][name]
            if each.replaced_at and not each.made and each.serves(now)
        ]
        return tuple(self.value(each) for each in (found, *beside[-1:]))

    def put(
        self, project: str, sealed: Sequence[tuple[str, bytes]], by: str
    ) -> tuple[SecretVersion, ...]:
        """Keep a new version of each of these secrets, by name, all of them or none.

        The same sealed value again is the same version. Raises VaultInputError,
        VaultConflictError for a sealed value of an earlier version.
        """
        kept: list[SecretRecord] = []
        fresh: list[tuple[SecretRecord, bytes]] = []
        dropped: list[SecretRecord] = []
        for name, one in sealed:
            value = self._opened.unseal(secret_info(project, name), one)
            check_value(value)
            seal = hashlib.sha256(one).digest()[:_SEAL_BYTES]
            before = self._by_name.get(project, {}).get(name, [])
            record = self._same(before, seal)
            if record is None:
                record = self._record(project, name, before, by, seal)
                fresh.append((record, value))
                dropped += _dropped(before)
            kept.append(record)
        self._add(fresh, dropped)
        return tuple(map(shown, kept))

    def _same(self, before: Sequence[SecretRecord], seal: bytes) -> SecretRecord | None:
        """Return the newest version if it is this sealed value. Raises VaultConflictError."""
        for record in before:
            if hmac.compare_digest(record.seal, seal):
                if record is _in_use(before):
                    return record
                raise VaultConflictError(
                    f"This sealed value already is version {record.version} of "
                    f"{record.project}/{record.name}.",
                    next_step="Seal the value again to make a version of it.",
                )
        return None

    def prepare(
        self, project: str, name: str, made: NewValue | int, expected: int, by: str
    ) -> SecretVersion:
        """See `Vault.prepare_secret`."""
        before = self._by_name.get(project, {}).get(name, [])
        used = _in_use(before)
        if (0 if used is None else used.version) != expected:
            raise VaultConflictError(
                f"{project}/{name} has another value since: version "
                f"{0 if used is None else used.version}, expected {expected}.",
                next_step="Check who has set it: casemate secrets ls",
            )
        how = f"version/{made}" if isinstance(made, int) else f"{made.form.value}/{made.length}"
        if before and before[-1].made == how:
            return shown(before[-1])
        value = (
            make(made) if isinstance(made, NewValue) else self.value(self.find(project, name, made))
        )
        check_value(value)
        record = self._record(project, name, before, by, os.urandom(_SEAL_BYTES))
        value_of = made if isinstance(made, int) else 0
        record = replace(record, made=how, value_of=value_of)
        self._add([(record, value)], _dropped(before))
        return shown(record)

    def finish(self, project: str, name: str, version: int, overlap: float) -> SecretVersion:
        """See `Vault.finish_secret`. One write: before it the old one is in use, after it the
        new."""
        records = self._by_name.get(project, {}).get(name, [])
        used = _in_use(records)
        if used is not None and used.version == version:
            return shown(used)
        if not records or records[-1].version != version:
            raise VaultConflictError(
                f"Version {version} of {project}/{name} is not the one that was prepared last.",
                next_step="Check who has set it since: casemate secrets ls",
            )
        now = time.time()
        changed: dict[str, SecretRecord] = {}
        for each in records[:-1]:
            until = now + overlap if each is used else min(each.until or now, now)
            at = each.replaced_at or now
            changed[each.file] = replace(each, replaced_at=at, until=until)
        finished = replace(records[-1], made="")
        changed[finished.file] = finished
        state = self._opened.state
        kept = tuple(changed.get(each.file, each) for each in state.secrets)
        try:
            self._opened.commit(replace(state, secrets=kept))
        finally:
            self.index()
        return shown(finished)

    def _record(
        self, project: str, name: str, before: Sequence[SecretRecord], by: str, seal: bytes
    ) -> SecretRecord:
        return SecretRecord(
            project=project,
            name=name,
            version=before[-1].version + 1 if before else 1,
            created_at=time.time(),
            created_by=by,
            key=self._keys.newest(project),
            file=self._new_file(),
            seal=seal,
        )

    def _add(
        self, fresh: Sequence[tuple[SecretRecord, bytes]], dropped: list[SecretRecord]
    ) -> None:
        """Write new values, then name all of them in one commit. Raises VaultError."""
        if not fresh:
            return
        if len(self._opened.state.secrets) + len(fresh) > MAX_RECORDS:
            raise VaultError(
                f"The vault keeps {MAX_RECORDS} versions of secrets, the most it can.",
                next_step="Remove secrets that nobody uses: casemate secrets ls",
            )
        written: list[str] = []
        try:
            for record, value in fresh:
                written.append(record.file)
                self._write(record, value)
        except VaultError:
            for file in written:
                self._opened.folder.remove(file)
            raise
        self._commit(added=tuple(record for record, _ in fresh), removed=dropped)

    def delete(self, project: str, name: str) -> None:
        """Forget a secret. Raises NotFoundError."""
        self.find(project, name, None)
        self._commit(added=(), removed=self._by_name[project][name])

    def renew(self, project: str) -> bool:
        """Encrypt some values anew that are not under the newest key; tell whether any were.

        A value goes to a file of another name, and one commit names all of them: killed at any
        moment, each value is there once. Raises VaultDamagedError if one cannot be read.
        """
        newest = self._keys.newest(project)
        records = (r for versions in self._by_name.get(project, {}).values() for r in versions)
        older = [record for record in records if record.key != newest][:_RENEWED_AT_ONCE]
        added: list[SecretRecord] = []
        try:
            for record in older:
                renewed = replace(record, key=newest, file=self._new_file())
                added.append(renewed)
                self._write(renewed, self.value(record))
        except VaultError:
            for record in added:
                self._opened.folder.remove(record.file)
            raise
        if older:
            self._commit(added=tuple(added), removed=older)
        return bool(older)

    def _new_file(self) -> str:
        return f"{self._opened.header.generation + 1:016x}-{os.urandom(8).hex()}.secret"

    def _write(self, record: SecretRecord, value: bytes) -> None:
        sealed = envelope.encrypt(self._key(record), value, self._info(record))
        self._opened.folder.write(record.file, _MAGIC + sealed)

    def _commit(self, *, added: tuple[SecretRecord, ...], removed: list[SecretRecord]) -> None:
        gone = {record.file for record in removed}
        kept = [r for r in self._opened.state.secrets if r.file not in gone]
        # Versions of one secret stay in their order, also when older ones are written anew.
        kept = sorted((*kept, *added), key=lambda r: (r.project, r.name, r.version))
        state = replace(self._opened.state, secrets=tuple(kept))
        try:
            self._opened.commit(state)
        except VaultError:
            if self._opened.state is not state:
                for record in added:
                    self._opened.folder.remove(record.file)
            raise
        finally:
            self.index()
        for name in gone:
            self._opened.folder.remove(name)

    def listed(self, project: str | None) -> tuple[SecretInfo, ...]:
        """Return what secrets there are, sorted by project and name."""
        projects = sorted(self._by_name) if project is None else [project]
        return tuple(
            SecretInfo(project=each, name=name, versions=tuple(map(shown, records)))
            for each in projects
            for name, records in sorted(self._by_name.get(each, {}).items())
        )

    def has(self, project: str) -> bool:
        """Tell whether a project has any secret."""
        return project in self._by_name

    def values(self, project: str) -> Iterator[tuple[str, bytes]]:
        """Give name and value of every version of a project. Raises VaultDamagedError."""
        for name, records in self._by_name.get(project, {}).items():
            for record in records:
                yield name, self.value(record)

    def of_project(self, project: str) -> tuple[SecretRecord, ...]:
        """Return the records of a project."""
        versions = self._by_name.get(project, {}).values()
        return tuple(record for records in versions for record in records)

    def count(self) -> int:
        """Return how many secrets there are."""
        return sum(map(len, self._by_name.values()))

    def files(self) -> tuple[str, ...]:
        """Return the names of all files with values."""
        return tuple(record.file for record in self._opened.state.secrets)
