"""Where in a data folder each thing lies, and where the key to all of it is kept outside of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from casemate.journal.files import CHECKPOINT, PENDING
from casemate.model.errors import ProtectionMissingError


class Folders:
    """The folders of a node's data. Nothing in them is in clear but names of files."""

    def __init__(self, data: Path) -> None:
        """Name them; see `make`."""
        self.data = data
        self.store = data / "store"
        self.projects = data / "data"
        self.bundles = data / "bundles"
        self.vault = data / "vault"
        self.spool = data / "spool"
        self.journal = data / "journal"
        self.monitor = data / "monitor"
        self.recordings = data / "recordings"

    def make(
        self,
        uid: int | None,
        vault_uid: int | None,
        recorder_uid: int | None,
        monitor_uid: int | None = None,
    ) -> None:
        """Make what is missing, private to `uid` (None: to whoever runs this).

        The vault's folder is its own user's, and so are those of the journal and the monitor.
        """
        owners = dict.fromkeys((self.data, self.store, self.projects, self.bundles), uid)
        owners |= {
            self.recordings: uid,
            self.spool: uid,
            self.vault: vault_uid,
            self.journal: recorder_uid,
        }
        owners[self.monitor] = monitor_uid
        for folder, owner in owners.items():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(folder, owner, follow=folder == self.data)

    def last_told(self) -> float | None:
        """Return when the journal was written or signed last, by its files' times; None: never.

        A node that ran for seconds may have signed nothing yet.
        """
        found = []
        for name in (CHECKPOINT, PENDING):
            with contextlib.suppress(OSError):
                found.append((self.journal / name).lstat().st_mtime)
        return max(found, default=None)

    def clear_spool(self) -> None:
        """Delete what a killed gateway was still sending. Raises OSError."""
        if self.spool.is_symlink():
            raise NotADirectoryError(f"{self.spool} is a link, expected a folder")
        for leftover in self.spool.iterdir():
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def default_master_key(data: Path) -> str:
    """Return where the master key of a data folder is kept unless the operator says otherwise.

    Outside the data folder, so that who gets hold of that, or of a backup, reads nothing.
    """
    name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".config"
    if os.geteuid() == 0:
        base = Path("/etc")
    path = base / "casemate" / "master-keys" / name
    if path.is_relative_to(data):
        raise ProtectionMissingError(
            f"The data folder {data} holds the place of the master key, {path.parent}: who gets "
            "hold of one gets both.",
            next_step="Give another --data, or --master-key outside of it.",
        )
    return f"file:{path}"


def _make_private(folder: Path, owner: int | None, *, follow: bool) -> None:
    """Give a folder mode 0700 and its owner, through a descriptor that is no link's target.

    What is in the data folder is the gateway's to change, and this may run as root. Raises OSError.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(folder, flags)
    try:
        os.fchmod(descriptor, 0o700)
        if owner is not None:
            os.fchown(descriptor, owner, owner)
    finally:
        os.close(descriptor)
