"""What bounds the embedded store, on disk and in memory."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class SqliteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the store. Versions, aliases and keys are never pruned by any of them."""

    retention: float = 7 * 86_400.0
    """Seconds that invocations, errors and log lines are kept."""
    max_records: int = 1_000_000
    """Rows kept of each of the three kinds; the oldest go first."""
    max_bytes: int = 4096 * MIB
    """Size the database may reach before the oldest rows of the three kinds go."""
    max_queued: int = 200_000
    """Records that may wait in memory to be written; further ones count as lost."""
    max_queued_bytes: int = 128 * MIB
    """Memory that waiting records may take, estimated from the length of their texts."""
    flush_interval: float = 0.05
    """Seconds a record may wait for company before it is written."""
