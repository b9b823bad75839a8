"""The part of ldap3's API that tests need. Connections answer with what they were asked."""

from __future__ import annotations

from ldap3.core.connection import Connection

SUBTREE = "SUBTREE"
ALL_ATTRIBUTES = "*"


class Server:
    """A server's address."""

    def __init__(self, host: str, **_: object) -> None:
        self.host = host


__all__ = ["ALL_ATTRIBUTES", "SUBTREE", "Connection", "Server"]
