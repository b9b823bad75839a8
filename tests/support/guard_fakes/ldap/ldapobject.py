"""Connections, with the signatures of python-ldap's."""

from __future__ import annotations

from typing import Any


class SimpleLDAPObject:
    """One connection."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def search_ext(self, base: str, scope: int, filterstr: str | None = None, *_: Any) -> Any:
        """Search."""
        return [(base, filterstr)]

    def search_s(self, base: str, scope: int, filterstr: str | None = None, *_: Any) -> Any:
        """Search and wait."""
        return self.search_ext(base, scope, filterstr)

    def simple_bind_s(self, who: str | None = None, cred: str | None = None) -> Any:
        """Authenticate."""
        return (who, cred)

    def modify_ext(self, dn: str, modlist: Any) -> Any:
        """Modify."""
        return dn

    def delete_ext(self, dn: str) -> Any:
        """Delete."""
        return dn

    def delete_s(self, dn: str) -> Any:
        """Delete and wait."""
        return self.delete_ext(dn)
