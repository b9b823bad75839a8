"""What the supervisor knows of the recorder: the kinds and bounds of connections, sizes in memory.

It starts recorders and holds what they have to find again, and speaks to none.
"""

from __future__ import annotations

from casemate.child.channel import Bounds

READER = b"reader"
"""Kind of connection by which is read along."""
ASKING = Bounds(frame=8 << 20, unsent=8 << 20)
"""Of who reads along."""
SESSION_BYTES = 8
