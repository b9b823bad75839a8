"""What a worker is started with; the rest the gateway tells it."""

from __future__ import annotations

from casemate.child.protocol import ChildConfig, Descriptor


class HttpWorkerConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells a worker."""

    listener: Descriptor
    """The node's bound socket."""
    into: Descriptor
    """Where connections are left to other workers (`HandedOn`)."""
    out: Descriptor
    """Where those are that others have left."""
