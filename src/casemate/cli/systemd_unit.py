"""The systemd unit of a node: the text alone.

As root it is hardened as far as a node bears: it makes user namespaces, mounts, control groups and
devices for functions, and whatever would forbid these, or lay a mount over /proc or /sys, would
take the sandbox away (systemd.exec(5): ProtectProc, ProtectKernelTunables, ProtectControlGroups,
PrivateDevices, RestrictNamespaces, ProtectHostname). A manager of a user can harden nothing
without a user namespace, or without no_new_privs, in which newuidmap does not work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from casemate.cli.errors import UsageError

SERVICE = "casemate.service"
DATA, KEYS = Path("/var/lib/casemate"), Path("/etc/casemate")
"""Where a node of root keeps its data and its master key, without other wishes."""
MASTER_KEY, STORE_URL, OBJECTS = KEYS / "master-key", KEYS / "store-url", KEYS / "objects.env"
DATABASES = KEYS / "databases.toml"
"""Where one of many nodes finds the key of all, the database's URL, the object store with its
keys, and the other databases of projects: files of root that nobody else reads."""
_MARK = "# Made by `casemate service install`, which replaces no other and no changed unit. sha256="
_COMMON = """\
Type=notify
NotifyAccess=main
WatchdogSec=60
KillMode=mixed
TimeoutStopSec=60
Restart=always
RestartSec=1
LimitNOFILE=65536
UMask=0077
"""
_HARDENED = """\
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYSLOG
CapabilityBoundingSet=~CAP_WAKE_ALARM CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_AUDIT_CONTROL
"""
_OF_A_USER = """\
Delegate=cpu memory pids
"""


_SHARED = f"""\
LoadCredential={MASTER_KEY.name}:{MASTER_KEY}
LoadCredential={STORE_URL.name}:{STORE_URL}
EnvironmentFile={OBJECTS}
"""
_SHARED_OPTIONS = (
    f" --master-key file:${{CREDENTIALS_DIRECTORY}}/{MASTER_KEY.name}"
    f" --store file:${{CREDENTIALS_DIRECTORY}}/{STORE_URL.name}"
)
"""Not the specifier %d, which systemd has from 250 on."""
_DATABASES = f"LoadCredential={DATABASES.name}:{DATABASES}\n"
_DATABASES_OPTION = f" --databases ${{CREDENTIALS_DIRECTORY}}/{DATABASES.name}"


def unit_text(
    program: Path,
    arguments: Sequence[str],
    *,
    user: bool,
    data: Path | None,
    shared: bool = False,
    databases: bool = False,
) -> str:
    """Return the unit by which `program serve ARGUMENTS` is run. Raises UsageError.

    With `shared` it is one of many nodes: what it needs of secrets comes as credentials of systemd,
    with `databases` the other databases of projects as well.
    """
    words = [str(program), "serve", *arguments]
    if data is not None:
        words += ["--data", str(data)]
    command = " ".join(map(_word, words))
    command += (_SHARED_OPTIONS if shared else "") + (_DATABASES_OPTION if databases else "")
    body = (
        "[Unit]\nDescription=Casemate, a node for functions\n"
        + ("" if user else "Wants=network-online.target\nAfter=network-online.target\n")
        + f"\n[Service]\nExecStart={command}\n{_COMMON}"
        + (_SHARED if shared else "")
        + (_DATABASES if databases else "")
        + (_OF_A_USER if user else _HARDENED + _writable(data or DATA))
        + f"\n[Install]\nWantedBy={'default' if user else 'multi-user'}.target\n"
    )
    return f"{_MARK}{_hash(body)}\n{body}"


def _writable(data: Path) -> str:
    """Return what lets the node write, and makes it first, outside of the hardening (`+`).

    Not StateDirectory: systemd would give the data to root, which is the gateway's user's.
    """
    folders = " ".join((str(KEYS), _word(str(data))))
    return f"ExecStartPre=+/bin/mkdir -p -m 0700 {folders}\nReadWritePaths={folders}\n"


def is_unchanged(text: str) -> bool:
    """Tell whether a unit is one that was written here and that nobody has changed since."""
    first, _, body = text.partition("\n")
    return first == f"{_MARK}{_hash(body)}"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _word(text: str) -> str:
    """Return a word of a command line of systemd (systemd.service(5), Command lines)."""
    if not text.isprintable() or not text:
        raise UsageError(
            f"{text!r} has characters that a unit cannot hold.", next_step="Choose another."
        )
    # Specifiers and variables would be replaced.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = all(c.isalnum() or c in "/._-+:=,@" for c in text)
    return escaped if plain else f'"{escaped}"'
