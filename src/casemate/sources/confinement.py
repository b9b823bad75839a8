"""What the sources process may still do: what the egress process may, in bounded memory."""

from __future__ import annotations

import msgspec

from casemate.egress.confinement import EGRESS

SOURCES = msgspec.structs.replace(EGRESS, memory=1 << 30)
"""What a server sends is bounded by it, too."""
