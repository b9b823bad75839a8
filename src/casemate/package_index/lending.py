"""Logins of indexes that are secrets of the project: what such a secret says, and for whom.

    https://pkgs.example.com/simple basic ada:correct-horse
    https://pkgs.example.com/simple bearer eyJhbGciOi...

The address is part of the secret. Otherwise a line in a project's file, which whoever proposes a
change can write, would have the login sent to any host.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.package_index.errors import PackagePolicyError
from casemate.package_index.upstream import Login, origin_of

Lend = Callable[[str], bytes]
"""Returns the value of a secret of the project, by its name."""
_SCHEMES = ("basic", "bearer")
_MOST = 16 * 1024


def nobody_lends(name: str) -> bytes:
    """Refuse a login: nothing that could lend it is known here."""
    raise PackagePolicyError(
        f"The login of an index is in the secret {name}, but no node can provide it here.",
        next_step="Set UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, where NAME is the "
        "index's in casemate-packages.toml.",
    )


def login_of(index: str, url: str, secret: str, lend: Lend) -> Login:
    """Return the login of an index from a secret. Raises PackagePolicyError, never with a value."""
    value = lend(secret)
    words = _words(value)
    if words is None:
        raise PackagePolicyError(
            f"The secret {secret} is not the login of an index.",
            next_step="Set it to `URL basic USER:PASSWORD` or `URL bearer TOKEN`.",
        )
    address, scheme, credential = words
    if not _is_same(address, url):
        raise PackagePolicyError(
            f"The secret {secret} is the login of another host than that of the index {index}, "
            "which does not get it.",
            next_step="Correct the address in casemate-packages.toml, or in the secret.",
        )
    if scheme == "bearer":
        return Login(user="", password=credential, bearer=True)
    user, _, password = credential.partition(":")
    return Login(user=user, password=password)


def _words(value: bytes) -> tuple[str, str, str] | None:
    """Return address, scheme and credential, or nothing for what is none of that."""
    try:
        words = value[:_MOST].decode("ascii").strip().split(" ")
    except UnicodeDecodeError:
        return None
    if len(value) > _MOST or len(words) != 3 or words[1] not in _SCHEMES:
        return None
    address, scheme, credential = words
    sound = credential.isprintable() and (scheme == "bearer" or ":" in credential)
    return (address, scheme, credential) if sound and credential else None


def _is_same(address: str, url: str) -> bool:
    try:
        return "://" in address and origin_of(address) == origin_of(url)
    except ValueError:
        return False
