"""What a node is started with."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
from pathlib import Path

import msgspec

from casemate.model.caps import Caps
from casemate.model.errors import ProtectionMissingError
from casemate.model.protection import ProtectionStatus
from casemate.model.trusted_proxies import TrustedProxies

GATEWAY_UID = 64_800
SANDBOX_UID = 64_801
VAULT_UID = 64_802
EGRESS_UID = 64_803
SOURCES_UID = 64_804
"""Host uids of the gateway, base zygotes, vault, egress proxy and sources process when the
supervisor is root. Of no account, so that they own nothing but what a node gives them."""

START_FAILED = 3
"""Exit code of a gateway that said why it cannot serve. Trying again would not mend that."""

RISKS = {
    "cgroups": "no limit on the memory, CPU and processes that an instance takes together",
    "landlock": "one layer less between an instance and the files it can see",
    "shared-uid": "functions use up for each other what the kernel counts by user id",
    "shared-files": "locks on the files of the interpreter connect functions",
    "plaintext": "whoever is between a client and the node reads and changes all they say",
}
"""What an operator can accept by name. Everything else is required without exception."""


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `casemate serve`."""

    data: Path
    host: str
    port: int
    accepted_risks: tuple[str, ...] = ()
    function_ids: str | None = None
    """Host ids for functions, START:COUNT; None: the node's own range, or subordinate ids."""
    pythons: tuple[str, ...] = ()
    """Minor versions to offer; empty means all that are found and supported."""
    json: bool = False
    """True prints the address and the first token as one line of JSON."""
    master_key: str | None = None
    """Where the vault's master key is; None: a file of its own outside the data folder."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_names: tuple[str, ...] = ()
    """Further names for the certificate of the node's own authority."""
    tls_new_authority: bool = False
    public_url: str | None = None
    """The address by which others know the node; None: where it listens."""
    recover_owner: bool = False
    """True makes an owner's token of a day."""
    accepted_losses: tuple[str, ...] = ()
    """What is known to be lost, and the node starts without; see `casemate.folder.presence`."""
    max_memory: int | None = None
    """Bytes that an instance may be given at most; None: derived from the host. So the next two."""
    max_tmp: int | None = None
    max_instances: int | None = None
    learn: bool = False
    """True lets functions use what they are not granted, and notes it. On loopback only."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies, which say for whom they ask."""

    def __post_init__(self) -> None:
        """Refuse risks that nobody can accept, and what is no address of a proxy."""
        TrustedProxies(self.trusted_proxies)
        unknown = [risk for risk in self.accepted_risks if risk not in RISKS]
        if unknown:
            raise ProtectionMissingError(
                f"There is no acceptable risk called {', '.join(map(repr, unknown))}; "
                f"expected one of: {', '.join(sorted(RISKS))}.",
                next_step="run `casemate doctor` to see what this host lacks",
            )

    def caps(self, memory: int) -> Caps:
        """Return what no function may exceed, on a host with `memory` bytes."""
        derived = Caps.of_host(memory)
        return Caps(
            memory=self.max_memory or derived.memory,
            tmp=self.max_tmp or derived.tmp,
            concurrency=self.max_instances or derived.concurrency,
        )


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells the gateway when it starts it."""

    data: str
    listener: int
    """Descriptor of the bound, not yet listening socket."""
    supervisor: int
    """Descriptor of the socket to the supervisor."""
    vault: int
    """Descriptor of the socket to the vault."""
    egress: int
    """Descriptor of the socket by which an egress proxy is asked for."""
    sources: int
    """Descriptor of the socket by which a sources process is asked for."""
    unpacked: str
    """Folder in memory for the files of bundles in use."""
    uid: int | None
    pythons: dict[str, str]
    """Minor version to full version."""
    protections: tuple[ProtectionStatus, ...]
    json: bool
    started_at: float
    host: str
    tls: bool
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_names: tuple[str, ...] = ()
    tls_new_authority: bool = False
    public_url: str | None = None
    recover_owner: bool = False
    accepted_losses: tuple[str, ...] = ()
    learn: bool = False
    heart: int | None = None
    """Descriptor to beat on once it serves; None: nobody watches."""
    caps: Caps | None = None
    """What no function may exceed; None: no caps."""
    new_master_key: str | None = None
    """File of the master key, if this start made it."""
    trusted_proxies: tuple[str, ...] = ()


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

    def make(self, uid: int | None, vault_uid: int | None) -> None:
        """Make what is missing, private to `uid` (None: to whoever runs this); the vault's own."""
        for folder in (self.data, self.store, self.projects, self.bundles, self.spool, self.vault):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = vault_uid if folder == self.vault else uid
            _make_private(folder, owner, follow=folder == self.data)

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
            next_step="give another --data, or --master-key outside of it",
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


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches what listens on an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
