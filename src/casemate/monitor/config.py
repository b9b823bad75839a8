"""What the monitor process is started with."""

from __future__ import annotations

from casemate.child.protocol import ChildConfig, Descriptor
from casemate.set_clock import Believed


class MonitorConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells the monitor."""

    folder: str
    """Its own."""
    vault: Descriptor
    """The connected socket to the vault, for the monitor alone."""
    settings: Descriptor
    """Socket from which its settings are read, as JSON: `ps` would show addresses that are to be
    known to few."""
    node: str
    """What alerts call this node."""
    clock: Believed | None = None
    """What is believed of the clock (`casemate.set_clock.believe`)."""
    own_addresses: tuple[str, ...] = ()
    """Addresses that lead to this host from outside but are on none of its interfaces (NAT)."""
