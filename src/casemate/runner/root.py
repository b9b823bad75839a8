"""The root of a function zygote: what it sees of the host, read-only, and nothing else.

Locks, leases and watches bind a file's inode. So each zygote sees the host's files, and those of
its bundle, through an overlay (Documentation/filesystems/overlayfs.rst) of its own, whose inodes
nobody else has, although the pages are shared.
"""

from __future__ import annotations

import errno
import os
import re
import stat

from ..kernel import linux

_ROOT = "/tmp/root"  # noqa: S108 - all three in the base zygote's own tmpfs
_HIDDEN = "/tmp/hidden"  # noqa: S108
_EMPTY = "/tmp/empty"  # noqa: S108
_DEVICES = ("null", "zero", "random", "urandom")
_LOADED = frozenset(("gconv", "engines-3", "ossl-modules", "blas", "lapack", "atlas"))
"""Folders beside shared libraries from which libraries load others by themselves."""
_INTERPRETER = re.compile(r"python3\.[0-9]{1,2}|openblas-[a-z]{1,16}")
_INSTALLED = ("site-packages", "dist-packages")
_OF_MOUNT = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def _needed(entry: os.DirEntry[str]) -> bool:
    if ".so" in entry.name and not entry.is_dir(follow_symlinks=False):
        return True
    folder = entry.name in _LOADED or _INTERPRETER.fullmatch(entry.name) is not None
    return folder and entry.is_dir(follow_symlinks=False)


def _whiteout(path: str) -> None:
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def _hide(path: str, into: str, *, filtered: bool) -> None:
    """Make a layer that hides of the folder `path` what functions have no use for."""
    os.makedirs(into, exist_ok=True)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name in _INSTALLED or (filtered and not _needed(entry)):
                _whiteout(f"{into}/{entry.name}")
            elif filtered and entry.name.startswith("python") and entry.is_dir():
                _hide(f"{path}/{entry.name}", f"{into}/{entry.name}", filtered=False)


class Root:
    """Builds the roots of zygotes. One per base zygote, which sees all of /usr."""

    def __init__(self, libraries: list[tuple[str, bool]], links: dict[str, str]) -> None:
        """Find out what is to be hidden, and whether this kernel mounts overlays here."""
        self._libraries = libraries
        self._links = links
        os.mkdir(_EMPTY)
        self._layers: dict[str, str] = {}
        self.private_files = self._try_overlay()
        if self.private_files:
            for number, (path, filtered) in enumerate(libraries):
                layer = self._layers[path] = f"{_HIDDEN}/{number}"
                _hide(path, layer, filtered=filtered)

    @staticmethod
    def _try_overlay() -> bool:
        """Overlays in a user namespace need Linux 5.11, and no more than one below this one."""
        try:
            os.makedirs(f"{_HIDDEN}/trial")
            _whiteout(f"{_HIDDEN}/trial/share")
            os.close(linux.new_overlay(f"{_HIDDEN}/trial", "/usr"))
        except OSError:
            return False
        return True

    def bundle(self, digest: str) -> int:
        """Return a descriptor of a detached read-only mount of a bundle. Raises OSError."""
        path = f"/bundles/{digest}"
        return linux.new_overlay(_EMPTY, path) if self.private_files else linux.clone_tree(path)

    def dependencies(self, digest: str) -> int:
        """Return a descriptor of a detached read-only mount of a bundle's dependencies alone."""
        path = f"/bundles/{digest}/deps"
        return linux.new_overlay(_EMPTY, path) if self.private_files else linux.clone_tree(path)

    @staticmethod
    def attach(process: int, mount: int) -> None:
        """Mount a bundle in the root of another zygote, which a pidfd is of. Raises OSError.

        Done by a fork: this process enters no namespace in which a function's code runs. Nobody
        there can reach the fork: it is in none of the other namespaces, has all rights over them,
        and what it mounts on is a folder that nobody there can change.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        if os.fork() == 0:
            number = errno.EIO
            try:
                linux.enter_mounts(process)
                linux.attach_mount(mount, "/function")
                number = 0
            except OSError as error:
                number = error.errno or errno.EIO
            finally:
                os.write(writing, bytes((number,)))
                os._exit(0)
        os.close(writing)
        try:
            told = os.read(reading, 1)
        finally:
            os.close(reading)
        if told != b"\0":
            number = told[0] if told else errno.EIO
            raise OSError(number, f"the bundle cannot be mounted: {os.strerror(number)}")

    def enter(self, devices: str | None) -> None:
        """Build a root in this process's own mount namespace and enter it. Raises OSError.

        `devices` is the folder of the zygote's own devices, None for those of the host.
        """
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        os.makedirs(_ROOT, exist_ok=True)
        guarded = linux.MS_NOSUID | linux.MS_NODEV
        linux.mount("tmpfs", _ROOT, "tmpfs", guarded, "size=64k,mode=755")
        # Dependencies that are imported ahead are mounted by themselves, before a bundle is.
        for name in ("tmp", "function", "function/deps", "dev"):
            os.mkdir(f"{_ROOT}/{name}")
        for path, _ in self._libraries:
            os.makedirs(_ROOT + path)
            if self.private_files:
                lower = f"lowerdir={self._layers[path]}:{path}"
                linux.mount("overlay", _ROOT + path, "overlay", guarded | linux.MS_RDONLY, lower)
            else:
                linux.mount(path, _ROOT + path, None, linux.MS_BIND)
        for path, target in self._links.items():
            os.symlink(target, _ROOT + path)
        os.symlink("/tmp", f"{_ROOT}/dev/shm")  # noqa: S108
        for device in _DEVICES:
            self._add_device(f"{_ROOT}/dev/{device}", f"{devices or '/dev'}/{device}")
        linux.mount(
            "none", _ROOT, None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | guarded
        )
        os.chdir(_ROOT)
        linux.pivot_root(".", ".")
        linux.umount(".", linux.MNT_DETACH)
        os.chdir("/")

    @staticmethod
    def _add_device(target: str, source: str) -> None:
        """Bind a device so that it can be used, but nothing be changed of its inode."""
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        linux.mount(source, target, None, linux.MS_BIND)
        # What is set stays: the kernel has locked it. Writing to a device is no write to the mount.
        flags = os.statvfs(target).f_flag & _OF_MOUNT
        again = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY
        linux.mount("none", target, None, again | flags)
