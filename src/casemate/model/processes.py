"""What the processes of a node are told of each other: who each runs as, what the gateway gets."""

from __future__ import annotations

import msgspec

from casemate.model.caps import Caps
from casemate.model.protection import ProtectionStatus

GATEWAY_UID = 64_800
SANDBOX_UID = 64_801
VAULT_UID = 64_802
EGRESS_UID = 64_803
SOURCES_UID = 64_804
RESTORER_UID = 64_805
RECORDER_UID = 64_806
MONITOR_UID = 64_807
HTTP_WORKER_UID = 64_808
"""Host uids of the gateway, base zygotes, vault, egress proxy, sources process, restorer, recorder,
monitor and HTTP workers, when the supervisor is root. Of no account, so that they own nothing but
what a node gives them."""

MOST_GATEWAYS = 16
"""Processes of a node's gateway: one that decides, and those that take connections for it."""

RESTORES = True
"""Whether a node restores instances after a call where the host can, if nobody says otherwise."""

START_FAILED = 3
"""Exit code of a gateway that said why it cannot serve. Trying again would not mend that."""


STORE_VARIABLE = "CASEMATE_STORE"
OBJECTS_VARIABLE = "CASEMATE_OBJECTS"
DATABASES_VARIABLE = "CASEMATE_DATABASES"
"""By which a gateway is told where the state of many nodes is: what is in a URL may be secret, and
arguments are seen by everybody."""

MAX_DATABASES = 32
"""Beside the one of the control store, in which projects live as well."""


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
    recorder: int
    """Descriptor of the socket by which a recorder is asked for."""
    clock: tuple[float, float, float, float] | None = None
    """What is believed of the clock (`casemate.set_clock.Believed`)."""
    monitor: int
    """Descriptor of the socket by which a monitor is asked for."""
    memory: int
    """Descriptor of what outlives it: see `casemate.recorder.memories`."""
    workers: tuple[int, ...] = ()
    """Descriptors of the sockets by which HTTP workers are asked for; none: it takes connections
    itself."""
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
    playbooks: bool = True
    """Whether playbooks act by themselves."""
    accepted_risks: tuple[str, ...] = ()
    """What the operator goes without, told once for each start of the node."""
    learn: bool = False
    host_names: tuple[str, ...] = ()
    """Names that are answered to, beside this machine's and those of projects; none: any."""
    heart: int | None = None
    """Descriptor to beat on once it serves; None: nobody watches."""
    caps: Caps | None = None
    """What no function may exceed; None: no caps."""
    resting_memory: int | None = None
    """Bytes that what is at rest may hold; None: no bound."""
    master_key_file: str | None = None
    """File of the master key, told with the first token; None: it is kept in another way."""
    trusted_proxies: tuple[str, ...] = ()
    vault_keeper: int | None = None
    """Descriptor of the socket by which a vault that nodes share asks; None: they share none."""
    shared: bool = False
    """Whether its environment names the database and the object store of many nodes."""
    unproved_store: bool = False
    """Whether these may be spoken to without TLS that proves them."""
