"""Projects' keys: made when first asked for, versioned, one key derived for each purpose."""

from __future__ import annotations

import time

from msgspec.structs import replace

from casemate.model.errors import NotFoundError
from casemate.vault import envelope
from casemate.vault.envelope import context
from casemate.vault.errors import DecryptionError, VaultDamagedError, VaultError
from casemate.vault.interface import DataKey, Purpose
from casemate.vault.open_state import OpenState
from casemate.vault.state import STATE_FILE, DataKeyRecord

MAX_VERSIONS = 1000
_WRAPPED_VERSION_BYTES = 4
_LABEL = "data key"


class DataKeys:
    """The keys of all projects of a vault; the node itself is the project `""`."""

    def __init__(self, opened: OpenState) -> None:
        """Use the keys in `opened`."""
        self._opened = opened
        self._unwrapped: dict[tuple[str, int], bytes] = {}
        self._by_project: dict[str, list[DataKeyRecord]] = {}
        self._indexed: tuple[DataKeyRecord, ...] = ()

    def records(self, project: str) -> list[DataKeyRecord]:
        """Return the versions of a project's key, oldest first."""
        keys = self._opened.state.keys
        if self._indexed is not keys:
            self._by_project = {}
            for record in keys:
                self._by_project.setdefault(record.project, []).append(record)
            self._indexed = keys
        return self._by_project.get(project, [])

    def newest(self, project: str) -> int:
        """Return the newest version, made if there is none."""
        records = self.records(project)
        if not records:
            self.rotate((project,))
            return 1
        return records[-1].version

    def key(self, project: str, version: int, info: bytes) -> bytes:
        """Return the key derived from one version for the use that `info` names.

        Raises NotFoundError, VaultDamagedError.
        """
        known = self._unwrapped.get((project, version))
        if known is None:
            known = self._unwrap(project, version)
            self._unwrapped[project, version] = known
        return envelope.derive(known, info)

    def _unwrap(self, project: str, version: int) -> bytes:
        for record in self.records(project):
            if record.version == version:
                return self._unwrap_record(record)
        raise NotFoundError(
            f"There is no key {version} of project {project!r}.",
            next_step="Restore data and vault from the same backup.",
        )

    def _unwrap_record(self, record: DataKeyRecord) -> bytes:
        try:
            return self._opened.unwrap_key(_LABEL, record.wrapped, record.project, record.version)
        except DecryptionError as error:
            raise VaultDamagedError(
                f"Key {record.version} of project {record.project!r} in {STATE_FILE} fails its "
                "check.",
                next_step="Restore the folder data/vault from a backup.",
            ) from error

    def data_key(self, project: str, purpose: Purpose, version: int | None) -> DataKey:
        """Return the key of one purpose; see `Vault.data_key`."""
        wanted = self.newest(project) if version is None else version
        info = context("purpose", self._opened.vault, purpose.value, project, wanted)
        return DataKey(version=wanted, key=self.key(project, wanted, info))

    def rotate(self, projects: tuple[str, ...]) -> None:
        """Make a new version of each project's key, all at once."""
        now = time.time()
        added = []
        for project in projects:
            records = self.records(project)
            if len(records) >= MAX_VERSIONS:
                raise VaultError(
                    f"The key of project {project!r} has {len(records)} versions, the most "
                    "that are kept.",
                    next_step="Rotate less often.",
                )
            version = records[-1].version + 1 if records else 1
            wrapped = self._opened.wrap_key(_LABEL, envelope.new_key(), project, version)
            added.append(DataKeyRecord(project, version, now, wrapped))
        state = self._opened.state
        self._opened.commit(replace(state, keys=(*state.keys, *added)))

    def rewrapped(self, wrapping: bytes) -> tuple[DataKeyRecord, ...]:
        """Return all records as another wrapping key protects them."""
        return tuple(
            replace(
                record,
                wrapped=self._opened.wrap_key(
                    _LABEL,
                    self._unwrap_record(record),
                    record.project,
                    record.version,
                    wrapping=wrapping,
                ),
            )
            for record in self._opened.state.keys
        )

    def projects(self) -> tuple[str, ...]:
        """Return every project that has a key, sorted."""
        return tuple(sorted({record.project for record in self._opened.state.keys}))

    def wrap(self, use: str, value: bytes) -> bytes:
        """Encrypt a small value under the node's key; see `Vault.wrap`."""
        version = self.newest("")
        info = context("wrap", self._opened.vault, use, version)
        key = self.key("", version, context("wrap key", self._opened.vault))
        return version.to_bytes(_WRAPPED_VERSION_BYTES, "big") + envelope.encrypt(key, value, info)

    def unwrap(self, use: str, wrapped: bytes) -> bytes:
        """Return what `wrap` was given. Raises DecryptionError."""
        version = int.from_bytes(wrapped[:_WRAPPED_VERSION_BYTES], "big")
        info = context("wrap", self._opened.vault, use, version)
        try:
            key = self.key("", version, context("wrap key", self._opened.vault))
        except NotFoundError:
            raise DecryptionError(
                "The wrapped value was changed, or wrapped by another vault.",
                next_step="Restore it, and the folder data/vault, from the same backup.",
            ) from None
        return envelope.decrypt(key, wrapped[_WRAPPED_VERSION_BYTES:], info)
