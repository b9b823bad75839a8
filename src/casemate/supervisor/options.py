"""What an operator starts a node with."""

from __future__ import annotations

import resource
from ipaddress import ip_address
from pathlib import Path

import msgspec

from casemate.model.caps import MAX_OPEN_FILES, Caps
from casemate.model.errors import InvalidInputError, ProtectionMissingError
from casemate.model.processes import RESTORES
from casemate.model.trusted_proxies import TrustedProxies
from casemate.monitor.settings import MonitorSettings

RISKS = {
    "cgroups": "no limit on the memory, CPU and processes that an instance takes together",
    "landlock": "one layer less between an instance and the files it can see",
    "shared-uid": "functions use up for each other what the kernel counts by user id",
    "shared-files": "locks on the files of the interpreter connect functions",
    "clear-disks": "whoever has a shared database's disks can read names, keys, times and policies",
    "unproved-store": "whoever is between a node and its database or object store can be either",
    "plaintext": "whoever is between a client and the node reads and changes all they say",
}
"""What an operator can accept by name. Everything else is required without exception."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What functions may have at most; what is None is derived from the host."""

    memory: int | None = None
    """Bytes that an instance may be given."""
    tmp: int | None = None
    """Bytes of its /tmp."""
    instances: int | None = None
    """Instances of a function at the same time."""
    warm: int | None = None
    """Instances of all functions together that wait for calls whatever the rate."""
    resting: int | None = None
    """Bytes that what is at rest may hold."""


class SharedOptions(msgspec.Struct, frozen=True):
    """Where the state is that many nodes share."""

    store: str | None = None
    """URL of the PostgreSQL, without a password; None: SQLite, or what the environment names."""
    objects: str | None = None
    """URL of the S3-compatible store."""
    encrypted_disks: bool = False
    """Whether the operator says that the disks of the databases are encrypted."""
    databases: str | None = None
    """File that names the other databases of projects; None: what the environment names."""


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
    bounds: Bounds = Bounds()
    learn: bool = False
    """True lets functions use what they are not granted, and notes it. On loopback only."""
    host_names: tuple[str, ...] = ()
    """Names that it answers to, beside this machine's and those of projects; none: any."""
    restore: bool = RESTORES
    """True has instances restored after a call, where the host can; False a fork for each."""
    playbooks: bool = True
    """Whether playbooks act by themselves."""
    monitor: MonitorSettings = MonitorSettings()
    """Rules of one's own, and who is told of what they find."""
    shared: SharedOptions = SharedOptions()
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies, which say for whom they ask."""
    own_addresses: tuple[str, ...] = ()
    """Addresses that lead to this host from outside but are on none of its interfaces (NAT)."""
    gateways: int | None = None
    """Processes of the gateway: one that decides, and beside it those that take connections; None:
    as many as the host has cores for."""

    def __post_init__(self) -> None:
        """Refuse risks that nobody can accept, and what is not an address."""
        TrustedProxies(self.trusted_proxies)
        for text in self.own_addresses:
            _require_address(text)
        unknown = [risk for risk in self.accepted_risks if risk not in RISKS]
        if unknown:
            raise ProtectionMissingError(
                f"There is no acceptable risk called {', '.join(map(repr, unknown))}; "
                f"expected one of: {', '.join(sorted(RISKS))}.",
                next_step="Run `casemate doctor` to see what this host lacks.",
            )

    def caps(self, memory: int) -> Caps:
        """Return what no function may exceed, on a host with `memory` bytes."""
        derived = Caps.of_host(memory)
        # No process of the node can give another one more than it may have itself.
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            files = MAX_OPEN_FILES
        return Caps(
            memory=self.bounds.memory or derived.memory,
            tmp=self.bounds.tmp or derived.tmp,
            concurrency=self.bounds.instances or derived.concurrency,
            warm=derived.warm if self.bounds.warm is None else self.bounds.warm,
            open_files=min(files, MAX_OPEN_FILES),
        )


def _require_address(text: str) -> None:
    try:
        address = ip_address(text)
        if "%" in text or address.is_unspecified or address.is_multicast:
            raise ValueError("nothing is reached by it from outside")
    except ValueError as error:
        raise InvalidInputError(
            f"{text[:100]!a} is not an address of this host.",
            next_step="Give an IPv4 or IPv6 address without a port, such as 203.0.113.7.",
        ) from error
