"""Where what a provider publishes is fetched from: no nearer than the provider itself is.

A provider names the address of its keys. A name of it can lead to this machine, or into the network
around it, whatever it looks like, and lead elsewhere when it is asked for again. So what was
connected to is looked at, before a byte is sent there.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

import httpx2

from casemate.egress.addresses import AddressKind, classify

_BEGINS: Final = "connect_tcp.started"
_CONNECTED: Final = "connect_tcp.complete"


class Peers:
    """Those of one fetch: the provider first, then whatever it names."""

    def __init__(self) -> None:
        """Know of nobody yet."""
        self._asked = ""
        self._host = ""
        self._first: AddressKind | None = None

    def extensions(self, host: str) -> Mapping[str, Any]:
        """Return what a request to a host has to have: as it is asked for, in ASCII."""
        self._asked = host
        return {"trace": self._trace}

    async def _trace(self, name: str, told: Mapping[str, Any]) -> None:
        if name.endswith(_BEGINS):
            self._host = str(told["host"])
        elif name.endswith(_CONNECTED) and self._host == self._asked:
            # Of a proxy, whose host is another, the environment's owner says where it is.
            stream = told["return_value"]
            try:
                self._require(str(stream.get_extra_info("server_addr")[0]))
            except BaseException:
                await stream.aclose()
                raise

    def _require(self, address: str) -> None:
        """Raise httpx2.ConnectError unless an address is one that the provider may name."""
        kind = classify(ip_address(address))
        if self._first is None:
            self._first = kind
        if kind is AddressKind.METADATA or kind not in (AddressKind.GLOBAL, self._first):
            raise httpx2.ConnectError(f"{self._asked} leads to a {kind} address")
