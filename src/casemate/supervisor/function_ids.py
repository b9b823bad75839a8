"""Which host ids functions get: a range of the node's own as root, else subordinate ids."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from casemate.model.errors import ProtectionMissingError
from casemate.model.processes import GATEWAY_UID, HTTP_WORKER_UID
from casemate.sandbox.identities import BLOCKS, IdRange

DEFAULT_START, DEFAULT_COUNT = 2_100_000_000, 65_536
"""Above what distributions give to people, subordinate ids (up to 600,100,000), systemd-nspawn
(up to 1,879,048,191) and FreeIPA (up to 2,000,200,000); below systemd's foreign ids (from
2,147,352,576 on)."""
LARGEST_ID = (1 << 31) - 1
"""Larger ids are negative numbers to some programs."""
LEAST, NESTED_LEAST = 65_536, 1000
"""The lowest id of a range: where people's ids end, and, in a user namespace of the node's own such
as a container's, in which there are often no more than 65,536, where those of its system end."""
_OWN = range(GATEWAY_UID, HTTP_WORKER_UID + 1)
_WHOLE = 0xFFFF_FFFF
"""How many ids the first user namespace has."""
_SUBORDINATE_LEAST = 4096
_MAX_TABLE_BYTES = 4 << 20
_SUBORDINATE = ("subuid", "subgid")
_OF_USERS = ("passwd", "subuid")
_HELPERS = ("newuidmap", "newgidmap")
_ACCEPT = "or accept that functions share one user id: --accept-risk shared-uid"
_SUBORDINATE_START = 100_000
"""Where distributions begin to give subordinate ids."""


def parse_range(text: str, least: int = LEAST) -> IdRange:
    """Return the range that `START:COUNT` names. Raises ProtectionMissingError."""
    start, _, count = text.partition(":")
    if not (start.isascii() and start.isdigit() and count.isascii() and count.isdigit()):
        raise _refused(f"{text!r} is not a range of ids, expected START:COUNT.")
    if len(text) > 21 or not least <= int(start) <= LARGEST_ID:
        raise _refused(f"The range {text!r} starts outside of {least} to {LARGEST_ID}.")
    if not BLOCKS <= int(count) <= LARGEST_ID - int(start) + 1:
        raise _refused(f"The range {text!r} has a count outside of {BLOCKS} to its end.")
    if int(start) < _OWN.stop and _OWN.start < int(start) + int(count):
        raise _refused(f"The range {text!r} holds {_OWN.start} to {_OWN.stop - 1}, the node's own.")
    return IdRange(int(start), int(start), int(count))


def _refused(message: str) -> ProtectionMissingError:
    return ProtectionMissingError(
        message, next_step=f"For example --function-ids {DEFAULT_START}:{DEFAULT_COUNT}"
    )


def _lines(path: Path) -> list[list[str]]:
    """Return the fields of each line of a table such as /etc/passwd; none if it is missing."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_TABLE_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1


def _mapped(kind: str, start: int, count: int) -> bool:
    """Tell whether this process's own user namespace has all of a range."""
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        inside, _outside, length = map(int, line.split())
        if inside <= start and start + count <= inside + length:
            return True
    return False


def _is_nested() -> bool:
    """Tell whether this process is in another user namespace than the host's first one."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", str(_WHOLE)]


def _given(etc: Path) -> list[tuple[str, range, str]]:
    """Return what the host's own tables give: the table, which ids, and to whom."""
    found = []
    for table in ("passwd", "group"):
        for fields in _lines(etc / table):
            number = _number(fields[2]) if len(fields) > 2 else -1
            found.append((table, range(number, number + 1), fields[0]))
    for table in _SUBORDINATE:
        for fields in _lines(etc / table):
            first, length = (*map(_number, fields[1:3]), -1, -1)[:2]
            found.append((table, range(first, first + length), fields[0]))
    return [one for one in found if one[1] and one[1].start >= 0]


def _others(ids: IdRange, etc: Path) -> list[tuple[str, str]]:
    """Return in which tables ids of a range are given, and to whom."""
    found = []
    for table, given, name in _given(etc):
        start = ids.uid if table in _OF_USERS else ids.gid
        if given.start < start + ids.count and start < given.stop:
            found.append((table, name))
    return found


def collisions(ids: IdRange, etc: Path = Path("/etc")) -> list[str]:
    """Return who else has ids of a range, as the host's own tables say."""
    return [f"{name} in {etc / table}" for table, name in _others(ids, etc)]


def _shared_with(ids: IdRange, names: tuple[str, ...], etc: Path) -> list[str]:
    """Return which other users have subordinate ids of a range that one has."""
    return [
        f"{name} in {etc / table}"
        for table, name in _others(ids, etc)
        if table in _SUBORDINATE and name not in names
    ]


def _how_to_add(name: str, etc: Path) -> str:
    """Return the command that gives a user subordinate ids that nobody has."""
    start = _SUBORDINATE_START
    for given in sorted((given for _, given, _ in _given(etc)), key=lambda one: one.start):
        if given.start < start + DEFAULT_COUNT and start < given.stop:
            start = given.stop
    ids = f"{start}-{start + DEFAULT_COUNT - 1}"
    return f"usermod --add-subuids {ids} --add-subgids {ids} {name}"


def root_range(text: str | None) -> IdRange:
    """Return the range of a node that runs as root. Raises ProtectionMissingError."""
    nested = _is_nested()
    wanted = f"{DEFAULT_START}:{DEFAULT_COUNT}" if text is None else text
    ids = parse_range(wanted, NESTED_LEAST if nested else LEAST)
    last = ids.uid + ids.count - 1
    if others := collisions(ids):
        raise ProtectionMissingError(
            f"The ids {ids.uid} to {last} for functions are not free: {', '.join(others[:3])}.",
            next_step="Give the node another range: casemate serve --function-ids START:COUNT",
        )
    if not (_mapped("uid", ids.uid, ids.count) and _mapped("gid", ids.gid, ids.count)):
        raise ProtectionMissingError(
            f"This user namespace has no ids {ids.uid} to {last} for functions.",
            next_step="Give the node a range that it has and that nobody in it uses, such as "
            f"--function-ids 4096:32768, {_ACCEPT}",
        )
    return ids


def _subordinate(table: Path, names: tuple[str, ...]) -> tuple[int, int] | None:
    """Return start and length of the largest range that a table gives to a user."""
    found = []
    for fields in _lines(table):
        if len(fields) == 3 and fields[0] in names:
            start, length = _number(fields[1]), _number(fields[2])
            if start > 0 and length >= _SUBORDINATE_LEAST and start + length - 1 <= LARGEST_ID:
                found.append((length, start))
    return (max(found)[1], max(found)[0]) if found else None


def subordinate_range(etc: Path = Path("/etc")) -> IdRange:
    """Return the subordinate ids of an ordinary user. Raises ProtectionMissingError."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    missing = [helper for helper in _HELPERS if shutil.which(helper) is None]
    if missing:
        raise ProtectionMissingError(
            f"{' and '.join(missing)} cannot be found: functions would share one user id.",
            next_step=f"Run `apt-get install uidmap`, {_ACCEPT}",
        )
    names = (name, str(uid))
    ranges = [_subordinate(etc / table, names) for table in _SUBORDINATE]
    if ranges[0] is None or ranges[1] is None:
        raise ProtectionMissingError(
            f"The user {name} has no subordinate ids (/etc/subuid, /etc/subgid): functions would "
            "share one user id.",
            next_step=f"As root: {_how_to_add(name, etc)}; {_ACCEPT}.",
        )
    (uids, length), (gids, other) = ranges[0], ranges[1]
    ids = IdRange(uids, gids, min(length, other, DEFAULT_COUNT))
    if others := _shared_with(ids, names, etc):
        raise ProtectionMissingError(
            f"The subordinate ids of {name} are not {name}'s alone: {', '.join(others[:3])}. "
            "Functions would share user ids with what these users run.",
            next_step=f"As root: remove those lines of {name} in /etc/subuid and /etc/subgid, then "
            f"{_how_to_add(name, etc)}; {_ACCEPT}.",
        )
    return ids


def function_ids(text: str | None) -> IdRange:
    """Return the ids that functions get on this host. Raises ProtectionMissingError.

    `text` is a range that the operator chose, which only root can have.
    """
    if os.geteuid() == 0:
        return root_range(text)
    if text is not None:
        raise ProtectionMissingError(
            "An ordinary user's functions get the subordinate ids of that user.",
            next_step="Leave out --function-ids",
        )
    return subordinate_range()
