"""What a function was not let do outside of the path: told by its sandbox and the egress proxy."""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.capabilities import UseCounter
from casemate.egress.interface import EgressEvent
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.sandbox.system_calls import DeniedCall
from casemate.sandbox.zygote import Zygote
from casemate.sandbox.zygotes import Zygotes


class Happenings:
    """Makes denials and uses of what is told of a zygote."""

    def __init__(self, zygotes: Zygotes, uses: UseCounter, deny: Callable[[Denial], None]) -> None:
        """Find out of which function it is by `zygotes`."""
        self._zygotes = zygotes
        self._uses = uses
        self._deny = deny

    def on_call(self, zygote: Zygote, call: DeniedCall) -> None:
        """Record a system call that a function's filter denied."""
        serving = {i.serving for i in zygote.instances.values() if i.serving}
        self._deny(
            _denial(
                zygote.version,
                DenialKind.SYSTEM_CALL,
                action=call.name,
                resource="kernel",
                reason="no function may make this system call",
                # One filter tells of all instances; with one at work it is clear which.
                invocation=serving.pop() if len(serving) == 1 else "",
                at=call.at,
                count=call.count,
            )
        )

    def on_kill(self, zygote: Zygote, invocation: str) -> None:
        """Record that a function's filter has ended an instance."""
        self._deny(
            _denial(
                zygote.version,
                DenialKind.SYSTEM_CALL,
                action="system call",
                resource="kernel",
                reason="the instance was ended by its system-call filter",
                invocation=invocation,
                at=time.time(),
                count=1,
            )
        )

    def on_connection(self, event: EgressEvent) -> None:
        """Count a connection that was let through, record one that was not."""
        version = self._zygotes.version_of(event.zygote)
        if version is None:
            return
        if event.allowed:
            self._uses.note(version, event.grant, "connect", "", event.count)
            return
        self._deny(
            _denial(
                version,
                DenialKind.EGRESS,
                action="egress:connect",
                resource=f"host:{event.host}:{event.port}",
                reason=event.reason,
                invocation="",
                at=event.at,
                count=event.count,
            )
        )


def _denial(
    version: Version,
    kind: DenialKind,
    *,
    action: str,
    resource: str,
    reason: str,
    invocation: str,
    at: float,
    count: int,
) -> Denial:
    return Denial(
        at=at,
        kind=kind,
        principal=f"function:{version.project}/{version.function}",
        action=action,
        resource=resource,
        reason=reason,
        project=version.project,
        function=version.function,
        version=version.number,
        invocation=invocation,
        count=count,
    )
