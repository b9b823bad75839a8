"""What bounds the records on disk."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class RecordsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the records. The gateway has no say in them."""

    retention: float = 7 * 86_400.0
    """Seconds that invocations, errors, log lines and denials are kept."""
    max_records: int = 1_000_000
    """Rows kept of each kind; the oldest go first."""
    max_denials: int = 100_000
    """Rows kept of denials. Fewer than of the others: whoever has no rights can cause them, and
    is not to push out anything else."""
    max_bytes: int = 4096 * MIB
    """Size the database may reach before the oldest rows of each kind go."""
