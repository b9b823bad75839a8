"""How often a function's process was used again after a call, and why not."""

from __future__ import annotations

import msgspec


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for which processes were not used again."""

    reason: str
    count: int
    change: str = ""
    """What in the function's code would change that; empty if nothing would, or nothing need."""


class Restoring(msgspec.Struct, frozen=True, kw_only=True):
    """Of the calls of a function since the node's gateway started, or since it was called again."""

    restored: int = 0
    """After how many its process was set back, compared, and kept for the next one."""
    discarded: int = 0
    """After how many it was not used again."""
    forks: int = 0
    """How many calls had a process that was made for one call alone."""
    reasons: tuple[Discarded, ...] = ()
    """The most frequent first."""
    late_modules: int = 0
    """How many modules of dependencies each call imports once more, by the last that was looked at
    (one in sixteen): an import of theirs at import would be paid once."""
    late_packages: tuple[str, ...] = ()
    """Of which packages most of them are."""
