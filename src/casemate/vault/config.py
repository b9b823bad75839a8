"""What the vault process is started with."""

from __future__ import annotations

import msgspec


class VaultConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells the vault when it starts it. Nothing secret: `ps` shows it."""

    folder: str
    uid: int | None
    """User to become; None to stay who it is."""
    control: int
    """Descriptor of the connected SOCK_SEQPACKET socket to the supervisor."""
    source: str
    """Source of the master key, as `parse_source` reads it."""
    create: bool
    """Make a new vault if there is none."""
    heart: int | None = None
    """Descriptor to beat on; None: nobody watches."""
    variable: int | None = None
    """Descriptor to read what the variable of an `env:` source held."""
