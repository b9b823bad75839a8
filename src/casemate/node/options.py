"""What a node is started with."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from casemate.api.control import ProtectionStatus
from casemate.model.errors import ProtectionMissingError

GATEWAY_UID = 64_800
SANDBOX_UID = 64_801
"""Host uids of the gateway and of sandboxes when the supervisor is root. Of no account, so that
they own nothing but what a node gives them."""

RISKS = {
    "cgroups": "no limit on the memory, CPU and processes that an instance takes together",
    "landlock": "one layer less between an instance and the files it can see",
}
"""What an operator can accept by name. Everything else is required without exception."""


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `casemate serve`."""

    data: Path
    host: str
    port: int
    accepted_risks: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    """Minor versions to offer; empty means all that are found and supported."""
    json: bool = False
    """True prints the address and the first key as one line of JSON."""

    def __post_init__(self) -> None:
        """Refuse risks that nobody can accept."""
        unknown = [risk for risk in self.accepted_risks if risk not in RISKS]
        if unknown:
            raise ProtectionMissingError(
                f"There is no acceptable risk called {', '.join(map(repr, unknown))}; "
                f"expected one of: {', '.join(sorted(RISKS))}.",
                next_step="run `casemate doctor` to see what this host lacks",
            )


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells the gateway when it starts it."""

    data: str
    listener: int
    """Descriptor of the bound, not yet listening socket."""
    supervisor: int
    """Descriptor of the socket to the supervisor."""
    uid: int | None
    pythons: dict[str, str]
    """Minor version to full version."""
    protections: tuple[ProtectionStatus, ...]
    json: bool
    started_at: float


class Folders:
    """The folders of a node's data."""

    def __init__(self, data: Path) -> None:
        """Name them; see `make`."""
        self.data = data
        self.store = data / "store"
        self.bundles = data / "bundles"
        self.spool = data / "spool"

    def make(self, uid: int | None) -> None:
        """Make what is missing, private to `uid` (None: to whoever runs this)."""
        for folder in (self.data, self.store, self.bundles, self.spool):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if uid is not None:
                os.chown(folder, uid, uid)
        # Sandboxes read bundles through a mount of this folder; only `data` above it is private.
        self.bundles.chmod(0o755)

    def clear_spool(self) -> None:
        """Delete uploads that a killed gateway was still receiving. Raises OSError."""
        for upload in self.spool.iterdir():
            upload.unlink()
