"""Connections, with the signatures of ldap3's."""

from __future__ import annotations

from typing import Any


class Connection:
    """One connection."""

    def __init__(self, server: Any, user: str | None = None, password: str | None = None, **_: Any):
        self.entries: list[Any] = []

    def search(self, search_base: str, search_filter: str, *_: Any, **named: Any) -> bool:
        """Search."""
        self.entries = [(search_base, search_filter)]
        return True

    def modify(self, dn: str, changes: Any, controls: Any = None) -> bool:
        """Modify."""
        return True

    def delete(self, dn: str, controls: Any = None) -> bool:
        """Delete."""
        return True

    def add(self, dn: str, object_class: Any = None, attributes: Any = None) -> bool:
        """Add."""
        return True
