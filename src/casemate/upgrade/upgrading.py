"""The order of an upgrade, and of the way back. Killed between any two steps, a node starts.

Until the link is switched, nothing that runs or starts has changed. From then on the new version
starts, whose schema steps were tried on a copy. The backup from before is the way back.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from casemate import __version__
from casemate.backup.proving import read_manifest
from casemate.backup.restore import restore
from casemate.child.heartbeat import MOST_TOLD
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.folder.presence import SHARED
from casemate.kernel import linux
from casemate.kernel.durability import replace_private, sync_folder
from casemate.store.sqlite.files import OWNER
from casemate.upgrade.asking import HAND_OVER, State, ask
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.installing import install
from casemate.upgrade.rehearsal import rehearse, require_host
from casemate.upgrade.release import Release, parsed
from casemate.upgrade.schemas import own_schemas
from casemate.upgrade.versions import STATE, Versions

CALLS_SECONDS = 30.0
"""How long calls that run have to end."""
SERVES_SECONDS = 300.0
"""How long it may take until the other version serves: 40 s for calls, the rest for its start."""
_TELL_SECONDS = 5.0
"""How often what is waited for is told."""
_SILENT_SECONDS = 60.0
"""How long nobody may answer meanwhile."""
_POLL_SECONDS = 0.2
_MAX_STATE = 64 * 1024
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""
_AT_FDCWD = -100


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """The way back from the last upgrade."""

    version: str
    environment: str
    schemas: dict[str, int]
    to_version: str
    to_environment: str
    to_schemas: dict[str, int]
    data: str
    backup: str
    at: float
    restored: int = 0
    """Inode of the folder that is made of the backup and takes the place of the data."""
    aside: str = ""
    """Where that folder is made, and the data is from then on; empty: nothing was made yet."""


Tell = Callable[[str], None]


def require_alone(data: Path) -> None:
    """Raise UpgradeError for the folder of a node that shares its state with others.

    Its way back would be a backup, which it has none of, and what calls it has others take.
    """
    if os.path.lexists(data / SHARED):
        raise UpgradeError(
            "This node shares its state with others: they are upgraded one after the other, and "
            "not by this command. Nothing was changed.",
            next_step="Drain it (casemate nodes drain NAME), stop it, install the release in the "
            "place of this one, start it, and take it back in (casemate nodes drain NAME --undo), "
            "as in docs/howto/run-many-nodes.md",
        )


def require_possible(release: Release, running: str, *, older: str | None) -> None:
    """Raise UpgradeError unless one may go from the version that runs to a release.

    One that is older than that has to be named: who has old releases, signed as they are, could
    otherwise bring back holes that were closed.
    """
    wanted, present = parsed(release.version), parsed(running)
    if wanted == present:
        raise UpgradeError(f"The node runs {running} already.", next_step="Nothing is to be done.")
    if wanted < present and older != release.version:
        raise UpgradeError(
            f"The release is {release.version}, which is older than {running}, which runs.",
            next_step=f"Get a newer one, or name it: --older {release.version}",
        )
    if present < parsed(release.since):
        raise UpgradeError(
            f"{release.version} can be come to from {release.since} on, and {running} runs.",
            next_step=f"Upgrade to {release.since} first.",
        )


def upgrade(
    release: Release,
    versions: Versions,
    *,
    data: Path,
    master_key: str,
    backup: Path,
    back_up: Callable[[Path], None],
    tell: Tell,
) -> None:
    """Have a verified release run in place of this version. Raises UpgradeError, OSError.

    `back_up` writes a backup of the node that serves.
    """
    environment = versions.environment(release.version)
    present = versions.current() or versions.own
    tell(f"Installing {release.version} into {environment}")
    install(release, environment)
    tell("Trying every protection with that version")
    require_host(environment, present)
    tell(f"Making a backup: {backup}")
    back_up(backup)
    tell("Bringing a copy of the data forward with that version")
    rehearse(backup, data, environment, master_key)
    undo = Undo(
        version=__version__,
        environment=str(present),
        schemas=own_schemas(),
        to_version=release.version,
        to_environment=str(environment),
        to_schemas=release.schemas,
        data=str(data),
        backup=str(backup),
        at=time.time(),
    )
    _write(versions, undo)
    tell(f"From here on {release.version} is what starts")
    versions.switch(environment)
    _have_taken_up(release.version, present, versions, data, tell)
    versions.remove_others((environment, present, backup))


def go_on(running: State, version: str, versions: Versions, data: Path, tell: Tell) -> None:
    """Have the node become the version that is current by a run that was ended before it did.

    Raises UpgradeError.
    """
    present = Path(running.prefix)
    _have_taken_up(version, present, versions, data, tell)
    versions.remove_others(
        (versions.environment(version), present, versions.backup_before(version))
    )


def _have_taken_up(version: str, present: Path, versions: Versions, data: Path, tell: Tell) -> None:
    """Hand over; where that version does not come to serve, the present one stays current."""
    try:
        hand_over(data, version, tell)
    except UpgradeError:
        state = ask(data)
        if state is not None and state.version != version:
            # It is what runs; a start must not try again what did not come to serve.
            versions.switch(present)
        raise


def running_on(data: Path) -> State:
    """Return what the supervisor of the node with a data folder says. Raises UpgradeError."""
    state = ask(data)
    if state is None:
        raise UpgradeError(
            f"No node serves with the data in {data}, that could make a backup and hand over.",
            next_step="Start it, or name its folder: --data",
        )
    return state


def hand_over(data: Path, version: str, tell: Tell) -> None:
    """Have the node that serves become the current version; return once that serves.

    Raises UpgradeError.
    """
    state = ask(data, HAND_OVER)
    if state is None or state.problem or not state.handing_over:
        raise UpgradeError(
            f"The node does not hand over: {state.problem if state else 'it does not answer'}.",
            next_step="Start it again, for example: systemctl restart casemate",
        )
    former = state.version
    tell(
        f"Running calls end, within {CALLS_SECONDS:.0f} s, and {version} takes over; new "
        "connections wait. Ctrl-C ends this command alone: the node goes on"
    )
    begun = heard = told = time.monotonic()
    while time.monotonic() < begun + SERVES_SECONDS:
        time.sleep(_POLL_SECONDS)
        state = ask(data, seconds=1.0)
        now = time.monotonic()
        if now - told >= _TELL_SECONDS:
            told = now
            tell(_waited_for(state, former, version, now - begun))
        if state is None:
            if now - heard > _SILENT_SECONDS:
                break
            continue
        heard = now
        if state.serving and state.version == version and not state.handing_over:
            return
        if state.serving and not state.handing_over:
            raise UpgradeError(
                f"{version} did not come to serve, and {former} goes on.",
                next_step="Read the node's log, which says why.",
            )
    raise UpgradeError(
        f"{version} does not serve.",
        next_step="Read the node's log, which says why; casemate upgrade --back",
    )


def _waited_for(state: State | None, former: str, version: str, seconds: float) -> str:
    """Return what a handover waits for after so many seconds."""
    if state is None or state.version != former:
        return f"Calls have ended; {version} starts"
    left = CALLS_SECONDS - seconds
    if not state.calls or left <= 0:
        return f"{former} ends"
    calls = "1 call runs" if state.calls == 1 else f"{state.calls} calls run"
    more = " or more" if state.calls == MOST_TOLD else ""
    return f"{calls}{more}; what has not ended in {left:.0f} s is cut off"


def go_back(undo: Undo, versions: Versions, *, tell: Tell) -> Path | None:
    """Have the version before run again; return where the data since then is kept aside, if it is.

    What that version cannot open is replaced by the backup: only while the node is stopped.
    Raises UpgradeError, BackupError, OSError.
    """
    data, environment = Path(undo.data), Path(undo.environment)
    if not (environment / "bin/python").exists():
        raise UpgradeError(f"{undo.version} is no longer installed in {environment}.")
    if undo.schemas == undo.to_schemas:
        tell(f"From here on {undo.version} is what starts")
        versions.switch(environment)
        if _has_gone_back(undo, versions, tell):
            _forget(versions)
        return None
    if (running := ask(data)) is not None:
        raise _serves(running)
    with _closed(data, _serves(State(version=undo.to_version, prefix="", serving=True))):
        aside = Path(undo.aside)
        if data.stat().st_ino != undo.restored or _was_used(data):
            # Also where a start came in between, which has brought forward what was restored.
            aside = _free_aside(data, undo)
            _restore_in_place(undo, versions, data, aside, tell)
        versions.switch(environment)
    _forget(versions)
    return aside


def _has_gone_back(undo: Undo, versions: Versions, tell: Tell) -> bool:
    """Have the node that runs, if one does, become the version before; tell whether it is that.

    Asked once that version is what starts: a node that was started before may be the other one.
    """
    data, other = Path(undo.data), Path(undo.to_environment)
    running = ask(data)
    if running is None:
        unknown = UpgradeError(
            f"The node with the data in {data} runs and does not answer: {undo.to_version} stays "
            "what starts.",
            next_step="Read the node's log, or stop it (systemctl stop casemate); then run this "
            "again.",
        )
        try:
            with _closed(data, unknown):
                return False
        except UpgradeError:
            versions.switch(other)
            raise
    if running.version != undo.version:
        _have_taken_up(undo.version, other, versions, data, tell)
    return True


def _was_used(data: Path) -> bool:
    """Tell whether a node has served with a data folder since it was made of a backup."""
    return (data / "store" / OWNER).exists()


def _free_aside(data: Path, undo: Undo) -> Path:
    """Return where the data can be kept: not in the place of what a node has served with."""
    name = f"{data.name}.{undo.to_version}-{int(undo.at)}"
    number, found = 1, data.with_name(name)
    while os.path.lexists(found) and _was_used(found):
        number += 1
        found = data.with_name(f"{name}-{number}")
    return found


def _restore_in_place(undo: Undo, versions: Versions, data: Path, aside: Path, tell: Tell) -> None:
    """Have the backup take the place of the data, which is in `aside` from that moment on."""
    for left in (aside, *data.parent.glob(f".{aside.name}.restore-*")):
        if os.path.lexists(left):
            shutil.rmtree(left)
    tell(f"Restoring {undo.backup}")
    # As it is: who can change it where it lies can change what runs.
    restore(Path(undo.backup), aside, read_manifest(Path(undo.backup)))
    # By this a run that is ended in between tells afterwards which of the two is which.
    _write(versions, replace(undo, restored=aside.stat().st_ino, aside=str(aside)))
    tell(f"Putting it in the place of {data}")
    exchange(aside, data)


def _serves(running: State) -> UpgradeError:
    return UpgradeError(
        f"{running.version} has brought the data forward, and is running: what came since the "
        "backup would be lost while it still comes.",
        next_step="Stop the node (systemctl stop casemate), then run this again.",
    )


@contextmanager
def _closed(data: Path, refused: UpgradeError) -> Iterator[None]:
    """Hold the store's folder, as a node would. Raises `refused` if one does."""
    descriptor = os.open(data / "store", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refused from None
        yield
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Have two folders take each other's place, at once. Raises OSError."""
    first, second = os.fsencode(one), os.fsencode(other)
    if linux.call("renameat2", _AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
    sync_folder(one.parent)
    sync_folder(other.parent)


def read_undo(versions: Versions) -> Undo:
    """Return the way back from the last upgrade. Raises UpgradeError if there is none."""
    try:
        with (versions.folder / STATE).open("rb") as file:
            undo = msgspec.json.decode(file.read(_MAX_STATE), type=decodable(Undo))
    except FileNotFoundError:
        raise UpgradeError(
            "There is no upgrade to go back from.",
            next_step="Restore a backup: casemate restore FILE --data FOLDER",
        ) from None
    except (OSError, *DECODING_ERRORS) as error:
        raise UpgradeError(f"{versions.folder / STATE} cannot be read: {error}") from error
    if versions.current() not in (Path(undo.to_environment), Path(undo.environment)):
        raise UpgradeError(f"{versions.folder / STATE} is about another version than the current.")
    return undo


def _write(versions: Versions, undo: Undo) -> None:
    folder = versions.folder
    replace_private(folder / STATE, folder / f".{STATE}.new", msgspec.json.encode(undo))


def _forget(versions: Versions) -> None:
    (versions.folder / STATE).unlink(missing_ok=True)
    sync_folder(versions.folder)
