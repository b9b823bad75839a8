"""The part of python-ldap's API that tests need."""

from __future__ import annotations

from ldap.ldapobject import SimpleLDAPObject

SCOPE_SUBTREE = 2


def initialize(uri: str) -> SimpleLDAPObject:
    """Return a connection."""
    return SimpleLDAPObject(uri)
