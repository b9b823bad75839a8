"""The versions of the C libraries that this installation brings or uses, as they say themselves.

What a package's version does not tell: which OpenSSL its wheel was built with. Three are usual.
"""

from __future__ import annotations

import importlib
import os
import platform
import sqlite3
import ssl
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from casemate.sqlite.engine import library_versions

_PYTHON = "python"
_PSYCOPG = "psycopg-binary"
"""Of the extra `cluster`, which not every node has."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """One C library in this process."""

    name: str
    version: str | None
    """As the library says it at run time; None if it does not say."""
    bundled_in: str
    """The package whose wheel has it, with that package's version, or the interpreter."""
    use: str


def _owner(package: str) -> str:
    if package == _PYTHON:
        return f"Python {platform.python_version()}"
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _of_cryptography() -> str:
    backend: Any = importlib.import_module("cryptography.hazmat.backends.openssl").backend
    return str(backend.openssl_version_text())


def _libuv() -> str:
    number = importlib.import_module("uvloop.loop").libuv_get_version()
    return f"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


def _zstd() -> str:
    return str(importlib.import_module("compression.zstd").zstd_version)


_Row = tuple[str, str, str, Callable[[], str | None]]


def _rows() -> Iterator[_Row]:
    """Yield name, package, use, and how to ask for the version."""
    engine = library_versions()
    yield "OpenSSL", "cryptography", "the vault, tokens, certificates", _of_cryptography
    yield "OpenSSL", "sqlcipher3", "pages of databases", lambda: engine.provider
    yield "OpenSSL", _PYTHON, "TLS", lambda: ssl.OPENSSL_VERSION
    yield "SQLCipher", "sqlcipher3", "databases of the node", lambda: engine.sqlcipher
    yield "SQLite", "sqlcipher3", "databases of the node", lambda: engine.sqlite
    yield "SQLite", _PYTHON, "functions alone", lambda: sqlite3.sqlite_version
    yield "libuv", "uvloop", "the event loop", _libuv
    yield "llhttp", "httptools", "HTTP from outside", lambda: None  # it has no call that says
    yield "zlib", _PYTHON, "archives, compressed answers", lambda: zlib.ZLIB_RUNTIME_VERSION
    yield "zstd", _PYTHON, "functions alone", _zstd
    yield "libpq", _PSYCOPG, "a database that nodes share", _libpq
    yield "OpenSSL", _PSYCOPG, "TLS to that database", lambda: None  # libpq does not say which
    yield "libexpat", _PYTHON, "functions alone", _expat
    yield "glibc", "the system", "everything", lambda: os.confstr("CS_GNU_LIBC_VERSION")


def _libpq() -> str:
    number = importlib.import_module("psycopg.pq").version()
    return f"{number // 10000}.{number % 10000}"


def _expat() -> str:
    return str(importlib.import_module("pyexpat").EXPAT_VERSION)


def _asked(ask: Callable[[], str | None]) -> str | None:
    """Return what a library says, None if it cannot be asked: this only informs."""
    try:
        text = ask()
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    return None if text is None else text[:120]


def libraries() -> list[Library]:
    """Return the libraries with their versions; those of newer Pythons only where they are."""
    found = [
        Library(
            name=name,
            version=_asked(ask),
            bundled_in=package if " " in package else _owner(package),
            use=use,
        )
        for name, package, use, ask in _rows()
    ]
    return [
        library
        for library in found
        if library.bundled_in != _PSYCOPG and (library.name != "zstd" or library.version)
    ]
