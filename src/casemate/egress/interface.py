"""What the gateway asks of the egress proxy, which is a process of its own.

Functions reach the network through listeners in their own, otherwise empty network namespace. The
proxy accepts there, outside of it resolves and connects, and lets through what is granted.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from casemate.model.grant import Grant

PROXY_PORT = 3128
"""Local port of the HTTP proxy in a function's network namespace."""


class EgressEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was allowed, or denied and why."""

    zygote: int
    at: float
    host: str
    port: int
    allowed: bool
    grant: str = ""
    """`Grant.text` of the grant that allowed it."""
    reason: str = ""
    """Why it was denied: `not granted`, `private address 10.0.0.1`, ..."""
    count: int = 1


class Egress(Protocol):
    """The proxy's handle in the gateway. Calls never block and never raise.

    When the proxy process is gone, functions reach nothing; nothing falls back to anything.
    """

    def open(self, zygote: int, listeners: dict[int, int], grants: tuple[Grant, ...]) -> None:
        """Serve a zygote's namespace. `listeners` maps local ports to listening descriptors.

        Port `PROXY_PORT` is the HTTP proxy; the others are `forward` ports of `grants`, or of
        those that come later with `grant`. The descriptors are copied; the caller closes its own.
        """
        ...

    def grant(
        self,
        zygote: int,
        grants: tuple[Grant, ...],
        function: str = "",
        *,
        in_tables: bool = False,
    ) -> None:
        """Let a zygote's instances reach what is granted, from now on; before that, nothing.

        `function` is what a refusal calls it whose grants these are, `in_tables` whether its
        manifest has them as tables.
        """
        ...

    def cut(self, zygote: int, hosts: tuple[str, ...]) -> None:
        """Let nothing of a zygote go to these hosts any more, in place of those before.

        What goes there is ended. `*.host` is what is below a host, `*` is every one. It may be said
        before `grant`.
        """
        ...

    def close(self, zygote: int) -> None:
        """End every connection of a zygote and close its listeners."""
        ...


class NoEgress:
    """Leads nowhere: for nodes and tests without a proxy process."""

    def open(self, zygote: int, listeners: dict[int, int], grants: tuple[Grant, ...]) -> None:
        """Serve nothing: what connects is never accepted."""

    def grant(
        self,
        zygote: int,
        grants: tuple[Grant, ...],
        function: str = "",
        *,
        in_tables: bool = False,
    ) -> None:
        """Grant nothing."""

    def cut(self, zygote: int, hosts: tuple[str, ...]) -> None:
        """Have nothing to cut off."""

    def close(self, zygote: int) -> None:
        """Have nothing to close."""
