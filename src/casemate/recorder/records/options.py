"""What bounds the embedded store, on disk and in memory."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class SqliteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the store. None of them deletes a version, an alias, a user or a token in force."""

    retention: float = 7 * 86_400.0
    """Seconds that invocations, errors, log lines and denials are kept."""
    max_records: int = 1_000_000
    """Rows kept of each kind; the oldest go first."""
    max_denials: int = 100_000
    """Rows kept of denials. Fewer than of the others: whoever has no rights can cause them, and
    is not to push out anything else."""
    max_bytes: int = 4096 * MIB
    """Size the database may reach before the oldest rows of each kind go."""
    max_queued: int = 200_000
    """Records that may wait in memory to be written; further ones count as lost."""
    max_queued_denials: int = 20_000
    """How many of them may be denials; further ones count as lost."""
    max_queued_bytes: int = 128 * MIB
    """Memory that waiting records may take, estimated from the length of their texts."""
    flush_interval: float = 0.05
    """Seconds a record may wait for company before it is written."""
