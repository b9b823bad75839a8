"""What a function was not let do outside of the path: told by its sandbox and the egress proxy."""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.capabilities import UseCounter, use_of
from casemate.egress.interface import EgressEvent
from casemate.facts import FactStream
from casemate.kernel.system_calls import NOTABLE
from casemate.model.baseline import UNUSUAL
from casemate.model.denial import Denial, DenialKind, denied_to
from casemate.model.deployment import Version
from casemate.model.facts import (
    FunctionPlace,
    GrantUsed,
    HostAsked,
    PackageActed,
    RuntimeReplaced,
    SystemCallsMet,
)
from casemate.model.principal import PrincipalKind
from casemate.sandbox.system_calls import DeniedCall
from casemate.sandbox.zygote import Zygote
from casemate.sandbox.zygotes import Zygotes
from casemate.vulnerabilities import Inventory

_MAX_BUNDLES = 1_024
"""Of which the names of packages are at hand."""


class PackageActs:
    """Counts what packages did, of those that a bundle has: told by processes, which can lie."""

    def __init__(self, uses: UseCounter, inventory: Inventory) -> None:
        """Count by `uses` what `inventory` knows."""
        self._uses = uses
        self._inventory = inventory
        self._names: dict[str, frozenset[str]] = {}

    def listen(self, facts: FactStream) -> None:
        """Count what is told from now on."""
        facts.listen(PackageActed, self.note)

    def note(self, did: PackageActed) -> None:
        """Count one fact."""
        names = self._names.get(did.digest)
        if names is None:
            found = self._inventory.get(did.digest)
            if found is None:
                return
            if len(self._names) >= _MAX_BUNDLES:
                self._names.clear()
            names = self._names[did.digest] = frozenset(each.name for each in found.packages)
        if did.package in names:
            self._uses.note_package(did)


class Happenings:
    """Tells of denials and uses by what is told of a zygote."""

    def __init__(self, zygotes: Zygotes, facts: FactStream) -> None:
        """Find out of which function it is by `zygotes`."""
        self._zygotes = zygotes
        self._facts = facts
        self.on_nobodys: Callable[[int, str], None] = lambda _number, _reason: None
        """Takes what a zygote did that is of no function, by its number."""

    def on_call(self, zygote: Zygote, call: DeniedCall) -> None:
        """Record a system call that a function's filter denied."""
        self._facts.happened(
            _denial(
                zygote.version,
                DenialKind.SYSTEM_CALL,
                action=call.name,
                resource="kernel",
                reason=UNUSUAL if call.name in NOTABLE else "no function may make this system call",
                invocation=_serving(zygote),
                at=call.at,
                count=call.count,
            )
        )

    def on_met_calls(self, zygote: Zygote, names: tuple[str, ...]) -> None:
        """Tell which system calls that were let through a function makes."""
        version = zygote.version
        self._facts.happened(
            SystemCallsMet(
                at=time.time(),
                by=f"function:{version.project}/{version.function}",
                project=version.project,
                function=version.function,
                version=version.number,
                invocation=_serving(zygote),
                met=names,
            )
        )

    def on_kill(self, zygote: Zygote, invocation: str) -> None:
        """Record that a function's filter has ended an instance."""
        self._facts.happened(
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

    def on_replaced(self, python: str, files: tuple[str, ...], count: int) -> None:
        """Record that what an interpreter runs with was replaced on the host."""
        self._facts.happened(
            RuntimeReplaced(at=time.time(), python=python, files=files, count=count)
        )

    def on_connection(self, event: EgressEvent) -> None:
        """Count a connection that was let through, record one that was not."""
        version = self._zygotes.version_of(event.zygote)
        if version is None:
            self.on_nobodys(event.zygote, "it asked for a connection")
            return
        if event.host:
            self._facts.happened(_asked(version, event))
        if event.allowed:
            if self._facts.wanted(GrantUsed):
                self._facts.happened(
                    use_of(version, event.grant, "connect", at=time.time(), count=event.count)
                )
            return
        self._facts.happened(
            _denial(
                version,
                DenialKind.EGRESS,
                action="egress:connect",
                # In brackets, or it is no address to rules, which read it up to the colon.
                resource=f"host:{_bracketed(event.host)}:{event.port}",
                reason=event.reason,
                invocation="",
                at=event.at,
                count=event.count,
            )
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _asked(version: Version, event: EgressEvent) -> HostAsked:
    return HostAsked(
        at=event.at,
        by=f"{PrincipalKind.FUNCTION.value}:{version.project}/{version.function}",
        project=version.project,
        function=version.function,
        version=version.number,
        host=event.host,
        port=event.port,
        allowed=event.allowed,
        count=event.count,
    )


def _serving(zygote: Zygote) -> str:
    """Return the invocation at work: one filter tells of all instances, with one it is clear."""
    serving = {i.serving for i in zygote.instances.values() if i.serving}
    return serving.pop() if len(serving) == 1 else ""


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
    return denied_to(
        FunctionPlace(version.project, version.function, version.number, invocation),
        at=at,
        kind=kind,
        action=action,
        resource=resource,
        reason=reason,
        count=count,
    )
