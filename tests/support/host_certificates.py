"""The certificates that this host believes, read once for all HTTP clients of a test process.

A client reads them when it is made, which takes longer than most requests to a node.
"""

from __future__ import annotations

import functools
import os
import ssl

import httpcore2

_read = httpcore2.default_ssl_context


@functools.cache
def _context(file: str | None, folder: str | None, trust_env: bool) -> ssl.SSLContext:
    """Return what is read where these are named by the environment."""
    del file, folder
    return _read(_trust_env=trust_env)


def _kept(*, _trust_env: bool = True) -> ssl.SSLContext:
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _context(*named, _trust_env)


def keep() -> None:
    """Have every client of this process take what was read before."""
    httpcore2.default_ssl_context = _kept
