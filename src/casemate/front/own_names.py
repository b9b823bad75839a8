"""Whether a request is for a name of this node, as a browser says it of each page.

Whoever has a name can lead it to 127.0.0.1 (DNS rebinding): a browser that has their page open then
takes the node for a part of it, and lets the page read what the node answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from http import HTTPStatus

from casemate.model.http import HttpHead, HttpResponse
from casemate.model.route import host_of

_THIS_MACHINE = "localhost"


class OwnNames:
    """Names that a node answers to: those it was told, this machine's, and those of projects."""

    def __init__(
        self,
        names: Collection[str],
        is_claimed: Callable[[str], bool],
        refused: Callable[[int, str, None], HttpResponse],
    ) -> None:
        """`is_claimed` tells whether a project has a host name; `refused` makes an answer."""
        self._names = frozenset(host_of(name.encode()) for name in names)
        self._is_claimed = is_claimed
        self._refused = refused

    def refusal(self, head: HttpHead) -> HttpResponse | None:
        """Return the answer to a request for a name of somebody else, None for others."""
        header = head.header(b"host")
        host = host_of(header)
        if not header or host in self._names or _is_own(host) or self._is_claimed(host):
            return None
        detail = "This node does not answer to that host name."
        return self._refused(HTTPStatus.MISDIRECTED_REQUEST.value, detail, None)


def _is_own(host: str) -> bool:
    """Tell whether no name server is asked for a host: it is an address, or this machine."""
    if host == _THIS_MACHINE or host.endswith(f".{_THIS_MACHINE}"):
        return True
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
