"""Makes folders visible to the unprivileged uid that sandboxes start under.

A root supervisor starts bubblewrap as another uid, which may not be able to walk to a path such
as a home folder. So the supervisor binds each folder below one that everybody can walk to, in a
mount namespace of its own: nothing of this shows outside, and it is gone when the process is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from pathlib import Path

import casemate.runner
from casemate.kernel import linux
from casemate.model.errors import ProtectionMissingError

_STAGE = Path("/run/casemate")
_INSIDE = ("runner", "guard", "kernel")
"""Packages of ours that the sandbox holds: what the base zygote imports, and nothing else."""
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9))
"""Names and numbers of the kernel's admin-guide/devices.txt."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs on every Linux; what is made in it is private
_OF_A_PROCESS = re.compile(r"[a-z]+-[0-9]{1,10}")
"""Ends of the names of folders that are of one process: `doctor-4711`. A node's come again, and are
removed by it."""


def _hold(folder: Path) -> int:
    """Return what keeps a folder from being taken for one that a killed process left."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return held


def _remove_left() -> None:
    """Remove folders that commands of this user made and were killed before they removed them."""
    of_user = f"casemate-{os.geteuid()}-"
    with os.scandir(_MEMORY) as entries:
        names = [one.name for one in entries if one.name.startswith(of_user)]
    for name in names:
        if _OF_A_PROCESS.fullmatch(name.removeprefix(of_user)) is None:
            continue
        with contextlib.suppress(OSError):  # of another process, or gone
            held = _hold(_MEMORY / name)
            try:
                is_own = os.fstat(held).st_uid == os.geteuid()
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_own:
                    shutil.rmtree(_MEMORY / name, ignore_errors=True)
            finally:
                os.close(held)


class Staging:
    """Where the sandbox's folders are found by the uid that starts sandboxes.

    `bundles` is a folder in memory that `owner` writes and sandboxes read: what is unpacked in it
    never reaches a disk, and as root it is gone with this process.
    """

    def __init__(self, uid: int | None, owner: int | None, name: str) -> None:
        """Stage for `uid`, or with None (an ordinary user) use the paths as they are.

        `name` tells the memory folders of one user's nodes apart.
        """
        self.uid, self.gid = uid, uid
        ours = Path(casemate.runner.__file__).parent.parent
        self.code = {name: str(ours / name) for name in _INSIDE}
        self._staged: dict[str, str] = {}
        self._held = -1
        self._entered = False
        """Whether the stage is in a mount namespace of this process's own."""
        self.devices: str | None = None
        """Folder of the devices of zygotes, None where only the host's own can be had."""
        try:
            if uid is not None and owner is not None:
                self._enter_own_mount_namespace()
                self._entered = True
                self.bundles = str(self._mount_memory(owner))
                self.devices = self._mount_devices()
            else:
                self.bundles = str(self._make_memory(name))
        except OSError as error:
            raise ProtectionMissingError(
                f"The supervisor cannot make a folder in memory: {error}",
                next_step="Check that /dev/shm is a tmpfs that this user can write to.",
            ) from error

    @staticmethod
    def _mount_memory(owner: int) -> Path:
        folder = _STAGE / "bundles"
        folder.mkdir(mode=0o755)
        flags = linux.MS_NOSUID | linux.MS_NODEV
        options = f"mode=755,uid={owner},gid={owner},size=50%"
        try:
            linux.mount("tmpfs", str(folder), "tmpfs", flags, f"{options},noswap")
        except OSError:  # noswap is as of Linux 6.4
            linux.mount("tmpfs", str(folder), "tmpfs", flags, options)
        return folder

    @staticmethod
    def _mount_devices() -> str | None:
        """Return a folder in which this process can make devices; None if it may make none."""
        folder = _STAGE / "devices"
        folder.mkdir(mode=0o755)
        flags = linux.MS_NOSUID | linux.MS_NOEXEC
        # A number of inodes would tell any function how many zygotes there are (statfs).
        linux.mount("tmpfs", str(folder), "tmpfs", flags, "size=8m,nr_inodes=0,mode=755")
        try:
            # A container may lack CAP_MKNOD, or be forbidden devices.
            os.mknod(folder / "trial", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.close(os.open(folder / "trial", os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return None
        return str(folder)

    def make_devices(self, name: str) -> str | None:
        """Make four devices for a zygote; return `name`, None without a folder. Raises OSError.

        Locks and times are kept in inodes: one that all functions open would connect them.
        """
        if self.devices is None:
            return None
        folder = f"{self.devices}/{name}"
        before = os.umask(0)
        try:
            os.mkdir(folder, 0o755)  # noqa: PTH102
            for device, major, minor in _DEVICES:
                mode = stat.S_IFCHR | 0o666
                os.mknod(f"{folder}/{device}", mode, os.makedev(major, minor))
        finally:
            os.umask(before)
        return name

    def remove_devices(self, name: str) -> None:
        """Remove what was made for a zygote, if anything was."""
        if self.devices is not None:
            shutil.rmtree(f"{self.devices}/{name}", ignore_errors=True)

    def _make_memory(self, name: str) -> Path:
        folder = _MEMORY / f"casemate-{os.geteuid()}-{name}"
        if folder.is_symlink():
            raise NotADirectoryError(f"{folder} is a link")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        self._held = _hold(folder)
        _remove_left()
        return folder

    def close(self) -> None:
        """Remove the folder in memory, and what was bound beside it: this process may go on."""
        shutil.rmtree(self.bundles, ignore_errors=True)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        if self._entered:
            self._entered = False
            with contextlib.suppress(OSError):
                linux.umount(str(_STAGE), linux.MNT_DETACH)

    @staticmethod
    def _enter_own_mount_namespace() -> None:
        try:
            _STAGE.mkdir(mode=0o755, exist_ok=True)
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
            flags = linux.MS_NOSUID | linux.MS_NODEV
            linux.mount("tmpfs", str(_STAGE), "tmpfs", flags, "size=64k,mode=755")
        except OSError as error:
            raise ProtectionMissingError(
                f"The supervisor cannot make a mount namespace: {error}",
                next_step="Run as root with CAP_SYS_ADMIN, or as an ordinary user.",
            ) from error

    def visible(self, path: str) -> str:
        """Return a path at which `uid` finds the folder `path`."""
        if self.uid is None:
            return path
        if path not in self._staged:
            target = str(_STAGE / str(len(self._staged)))
            os.mkdir(target, 0o755)  # noqa: PTH102
            linux.mount(path, target, None, linux.MS_BIND)
            self._staged[path] = target
        return self._staged[path]
