"""What the vault process is started with."""

from __future__ import annotations

from casemate.child.protocol import ChildConfig


class VaultConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells the vault when it starts it."""

    folder: str
    source: str
    """Source of the master key, as `parse_source` reads it."""
    create: bool
    """Make a new vault if there is none."""
    variable: int | None = None
    """Descriptor to read what the variable of an `env:` source held."""
    shared: bool = False
    """Whether other nodes have the same vault, by their database."""
    brought: int | None = None
    """Descriptor of a file in memory with the state that the database has, if it has one."""
    take_back: bool = False
    """Whether this node has a vault that nodes shared for itself again."""
    accepted_losses: tuple[str, ...] = ()
    """Names of states that may be taken though they do not follow."""
    monitors: tuple[str, ...] = ()
    """Secrets that the monitor may use, as `PROJECT/NAME`."""
