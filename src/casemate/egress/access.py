"""THE decision: from a destination that a function named to a connection, or to why not.

Plain HTTP, tunnels and forwards all come through here. Anything unexpected on the way is a denial.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from casemate.egress.addresses import AddressKind, classify, refused_kind
from casemate.egress.config import EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.errors import DeniedError, UpstreamError
from casemate.egress.resolver import Addresses, Resolver
from casemate.egress.rules import Rule, Rules
from casemate.egress.target import Address, Target
from casemate.model.grant import GrantKind
from casemate.model.grant_lines import line_to_add

_TRIED_ADDRESSES = 4
_TRIABLE_LATER = frozenset((AddressKind.PRIVATE, AddressKind.LOOPBACK, AddressKind.LINK_LOCAL))
_WITHIN = _TRIABLE_LATER | {AddressKind.SHARED}


def manifest_line(target: Target, rules: Rules) -> str:
    """Return what to add to a manifest. The host is quoted as it was parsed: LDH or an address."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    fields = {"host": f'"{host}"', "port": str(target.port)}
    kind = None if target.address is None else classify(target.address)
    if target.host == "localhost" or kind in _WITHIN:  # refused at deploy without these
        fields |= {"private": "true", "exception": '"WHY"'}
    function = rules.function or "NAME"
    return line_to_add(function, "egress", fields, there=rules.any, in_tables=rules.in_tables)


def not_granted(target: Target, rules: Rules) -> DeniedError:
    """Return the denial of what no grant of a function covers.

    Rules of detection tell apart whether its host is granted: data that may go to a host is not
    led away by a port of it.
    """
    other_port = rules.is_on_another_port(target)
    return DeniedError(
        "not granted on this port" if other_port else "not granted",
        f"This function is not granted egress to {target.text}.",
        next_step=manifest_line(target, rules),
    )


def refused_address(target: Target, rule: Rule, kind: AddressKind, address: Address) -> DeniedError:
    """Return the denial of an address. The address itself goes into the records only."""
    private = kind in _TRIABLE_LATER or kind in (AddressKind.SHARED, AddressKind.OWN)
    return DeniedError(
        f"{kind} address {address}",
        f"{target.text} leads to an address that this grant does not cover.",
        next_step="If the host is in your own network on purpose, set `private = true` and "
        "say why in `exception`"
        if private and not rule.private
        else "Grant a host whose addresses are all public.",
    )


class Access:
    """Decides for every zygote and connects."""

    def __init__(
        self,
        resolver: Resolver,
        connector: Connector,
        is_own: Callable[[Address], bool],
        limits: EgressLimits,
        *,
        learn: bool = False,
    ) -> None:
        """Take what it asks: names, connections, and whether an address is this host's own.

        With `learn` what is not granted is let through as if it were, to public addresses.
        """
        self.resolver = resolver
        self._connector = connector
        self._is_own = is_own
        self._limits = limits
        self._learn = learn

    def decide(self, rules: Rules, target: Target) -> Rule:
        """(1) Find the grant. Raises DeniedError. Nothing is resolved for what is not granted."""
        rule = rules.find(target)
        if rule is None and self._learn:
            return Rule(f"{GrantKind.EGRESS.value} {target.text}", target)
        if rule is None:
            raise not_granted(target, rules)
        return rule

    async def connect(self, zygote: int, rule: Rule, target: Target) -> socket.socket:
        """Take a granted destination to a connection. Raises DeniedError or UpstreamError."""
        addresses = await self._resolved(zygote, target)  # (2)
        self._check(rule, target, addresses)  # (3)
        return await self._connected(addresses, target.port)  # (4)

    async def _resolved(self, zygote: int, target: Target) -> Addresses:
        if target.address is not None:
            return (target.address,)
        return await self.resolver.resolve(zygote, target.host)

    def _check(self, rule: Rule, target: Target, addresses: Addresses) -> None:
        """Refuse the name as a whole if one of its addresses is refused."""
        for address in addresses:
            try:
                kind = refused_kind(address, rule, self._is_own)
            except (OSError, ValueError) as error:
                raise DeniedError(
                    f"address {address} could not be judged",
                    f"{target.text} could not be checked.",
                    next_step="Ask the node's operator; its log says more.",
                ) from error
            if kind is not None:
                raise refused_address(target, rule, kind, address)

    async def _connected(self, addresses: Addresses, port: int) -> socket.socket:
        tried = addresses[:_TRIED_ADDRESSES]
        try:
            async with asyncio.timeout(self._limits.connect_time):
                for index, address in enumerate(tried):
                    # One silent address must leave time for the others.
                    share = self._limits.connect_time / (len(tried) - index)
                    try:
                        async with asyncio.timeout(share):
                            return await self._connector.connect(address, port)
                    except OSError:  # TimeoutError is one
                        continue
        except TimeoutError:
            raise UpstreamError("The host did not answer in time.", status=504) from None
        raise UpstreamError("The host cannot be connected to.", status=502)
