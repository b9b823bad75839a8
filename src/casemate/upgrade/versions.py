"""The versions of one installation: environments beside each other, and a link to the current one.

    /opt/casemate/casemate/                     what was installed first
    /opt/casemate/casemate.versions/1.4.0/      what upgrades have installed
    /opt/casemate/casemate.versions/current     a link to one of them
    /opt/casemate/casemate.versions/first       a link to what was installed first

Whoever starts the first one gets the current one; what else is installed beside it stays as it is.
Only the owner of the installation and root may be able to write there: else the folder counts for
nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from casemate.kernel.durability import sync_folder
from casemate.upgrade.errors import UpgradeError

FOLDER = "casemate.versions"
CURRENT = "current"
FIRST = "first"
STATE = "upgrade.json"
COMPLETE = "release.json"
"""The signed statement, written last into an environment: without it that is not complete."""
VERSION = re.compile(r"[0-9][0-9A-Za-z.+!]{0,63}")
_DRAFT = ".current.new"
_BACKUP = "before-"


def own_prefix() -> Path:
    """Return the environment that this process runs in."""
    return Path(os.path.realpath(sys.prefix))


class Versions:
    """The versions beside an environment."""

    def __init__(self, prefix: Path | None = None) -> None:
        """Name the folder of those beside `prefix`, without one beside this process's own."""
        self.own = prefix or own_prefix()
        inside = self.own.parent.name == FOLDER
        self.folder = self.own.parent if inside else self.own.parent / FOLDER
        self.inside = inside
        """Whether this environment was installed by an upgrade."""

    def current(self) -> Path | None:
        """Return the environment that is current; None if nothing of this was ever upgraded.

        Raises UpgradeError where others could have chosen it.
        """
        link = self.folder / CURRENT
        try:
            if not stat.S_ISLNK(link.lstat().st_mode):
                raise UpgradeError(f"{link} is not a link.", next_step="Remove it.")
            target = Path(os.readlink(link))  # noqa: PTH115
        except OSError:
            return None
        if not target.is_absolute():
            target = self.folder / target
        for path in (self.folder, link, target, target / "bin"):
            _require_ours(path, self.own)
        return target if self._others() is None else None

    def _others(self) -> Path | None:
        """Return the environment beside this one whose versions these are; None: this one's.

        One that is gone has left them, and folders of before this was noted are anybody's.
        """
        first = self.folder / FIRST
        if self.inside or not first.is_symlink() or not first.exists():
            return None
        return None if first.samefile(self.own) else first.resolve()

    def make(self) -> None:
        """Make the folder where it is missing, and note whose it is. Raises OSError, UpgradeError.

        One that has the versions of another installation is refused.
        """
        if sys.prefix == sys.base_prefix:
            raise UpgradeError(
                "Casemate is not installed in an environment of its own.",
                next_step="Install it by `uv tool install`, as docs/howto/install.md says.",
            )
        self.folder.mkdir(mode=0o755, exist_ok=True)
        with suppress(PermissionError):
            self.folder.chmod(0o755)
        _require_ours(self.folder, self.own)
        if (other := self._others()) is not None:
            raise UpgradeError(
                f"{self.folder} has the versions of {other}, and this is {self.own}.",
                next_step="Upgrade by that one's own command, or install this one into another "
                "folder, which has nothing else of Casemate in it.",
            )
        first = self.folder / FIRST
        if not self.inside and not first.exists():
            first.unlink(missing_ok=True)
            # Relative: both may be seen at another path.
            first.symlink_to(Path("..", self.own.name))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Be the only one who changes versions. Raises UpgradeError."""
        self.make()
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpgradeError(
                    "Another upgrade of this installation is under way.",
                    next_step="Wait for its end.",
                ) from None
            yield
        finally:
            os.close(descriptor)

    def environment(self, version: str) -> Path:
        """Return where a version is installed. Raises UpgradeError for what is not a version."""
        if VERSION.fullmatch(version) is None:
            raise UpgradeError(f"{version[:80]!r} is not a version.")
        return self.folder / version

    def switch(self, environment: Path) -> None:
        """Have another environment be the current one: at once, and durably. Raises OSError."""
        draft = self.folder / _DRAFT
        draft.unlink(missing_ok=True)
        # Relative where it can be: the folder may be seen at another path.
        target = environment.name if environment.parent == self.folder else str(environment)
        draft.symlink_to(target)
        draft.rename(self.folder / CURRENT)
        sync_folder(self.folder)

    def backup_before(self, version: str) -> Path:
        """Return where the backup from before an upgrade is kept."""
        return self.folder / f"{_BACKUP}{version}.tar"

    def remove_others(self, kept: Sequence[Path]) -> None:
        """Remove environments and backups of upgrades but these."""
        for path in self.folder.iterdir():
            if path in kept or path == self.own:
                continue
            if VERSION.fullmatch(path.name):
                remove(path)
            elif path.name.startswith(_BACKUP):
                path.unlink()


def remove(environment: Path) -> None:
    """Remove an environment; first what says that it is complete. Raises OSError."""
    (environment / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(environment)


def _require_ours(path: Path, own: Path) -> None:
    """Raise UpgradeError if others than root and the installation's owner can change something."""
    try:
        found, owner = path.lstat(), own.lstat().st_uid
    except OSError as error:
        raise UpgradeError(
            f"{path} is not there: {error.strerror}.",
            next_step="Install again what the link names, or remove the link.",
        ) from error
    writable = found.st_mode & 0o022 and not stat.S_ISLNK(found.st_mode)
    if found.st_uid not in (0, owner) or writable:
        raise UpgradeError(
            f"{path} belongs to uid {found.st_uid} and has mode "
            f"{stat.S_IMODE(found.st_mode):04o}: who can change it would choose what runs here.",
            next_step=f"Give {path} to the owner of {own}, writable for nobody else.",
        )


def program(environment: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command line by which an environment's own Casemate runs."""
    return [str(environment / "bin/python"), "-P", "-m", "casemate.cli.main", *arguments]


def hand_on(arguments: Sequence[str]) -> str:
    """Become the current version, if this is the first one and another is current.

    Returns why not, if that cannot be; an empty text where nothing is to be done.
    """
    if sys.prefix == sys.base_prefix:
        return ""
    versions = Versions()
    if versions.inside or not os.path.lexists(versions.folder / CURRENT):
        return ""
    try:
        target = versions.current()
        if target is None or target == versions.own:
            return ""
        command = program(target, arguments)
        os.execv(command[0], command)  # noqa: S606  # nosec B606
    except (OSError, UpgradeError) as error:
        return f"{versions.folder / CURRENT} is not followed: {error}"
    return ""
