"""Which certificates the command line trusts: the system's, or one node's own authority.

A node outside loopback speaks TLS with a certificate of its own authority. Its operator gives the
fingerprint of that; `fetch_ca` gets the certificate, compares, and what it returns is pinned: for
this node it is trusted in place of all others.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl

import httpx2

from casemate.cli.bounded_answer import bounded_answer
from casemate.cli.errors import CommandError, UnreachableError, UsageError

AUTHORITY_PATH = "/.well-known/casemate-ca.pem"
_CONNECT_SECONDS = 5.0
_MOST_BYTES = 64 * 1024
_PEM = re.compile(
    r"\s*(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----)\s*\Z"
)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")


def parse_fingerprint(text: str) -> str:
    """Return a SHA-256 in lower case without separators; UsageError if it is none."""
    plain = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if _FINGERPRINT.match(plain) is None:
        raise UsageError(
            "That is not the fingerprint of a certificate: expected 64 hexadecimal digits.",
            next_step="Copy the SHA-256 that `casemate serve` shows when it starts.",
        )
    return plain


def fingerprint_of(pem: str) -> str:
    """Return the SHA-256 of a certificate; CommandError unless it is exactly one in PEM."""
    found = _PEM.match(pem)
    try:
        if found is None:
            raise ValueError("not one certificate")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[1])).hexdigest()
    except ValueError as error:
        raise CommandError(
            "What the node gave as its certificate authority is not one certificate in PEM.",
            next_step="Check that the address is that of a Casemate node.",
        ) from error


def naming_option(ca: str | None) -> str:
    """Return what a command needs to trust one authority as well; empty for the system's."""
    if ca is None or _PEM.match(ca) is None:
        return ""
    return f" --ca-fingerprint {fingerprint_of(ca)}"


def client_context(ca: str | None) -> ssl.SSLContext:
    """Return the context for a client: trust `ca` (PEM) alone, or with None what the system does.

    TLS 1.2 or newer; the name in the address must be one of the certificate's.
    """
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise CommandError(
            "The stored certificate authority of the node is not a certificate.",
            next_step="Run `casemate login URL --ca-fingerprint SHA256` again.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def fetch_ca(url: str, fingerprint: str) -> str:
    """Return the PEM of a node's own authority, whose SHA-256 must be `fingerprint`.

    Nothing secret is sent. The first connection trusts nobody and only fetches; the second one
    trusts only what was fetched, so that this very node is known to hold a certificate of it.
    Raises UsageError, CommandError for another fingerprint, UnreachableError.
    """
    expected = parse_fingerprint(fingerprint)
    if not url.startswith("https://"):
        raise UsageError(
            f"{url} is not encrypted, so it has no certificate authority.",
            next_step="Give the address with https://, or leave out --ca-fingerprint.",
        )
    untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    untrusting.check_hostname = False
    untrusting.verify_mode = ssl.CERT_NONE
    pem = _get(url, untrusting)
    if not hmac.compare_digest(fingerprint_of(pem), expected):
        raise CommandError(
            f"The certificate authority of {url} has another fingerprint than the one you gave. "
            "Somebody may be in between; nothing was sent or stored.",
            next_step="Ask the node's operator for the fingerprint that `casemate serve` shows.",
        )
    _get(url, client_context(pem))
    return pem


def _get(url: str, context: ssl.SSLContext) -> str:
    """Return the text at the authority's address, at most `_MOST_BYTES` of it."""
    try:
        status, content = bounded_answer(
            "GET", url + AUTHORITY_PATH, _CONNECT_SECONDS, _MOST_BYTES, verify=context
        )
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise UnreachableError(
            f"{url} does not answer: {str(error) or type(error).__name__}.",
            next_step="Check the address: it must be one of the names of the node's certificate.",
        ) from error
    if status != httpx2.codes.OK:
        raise CommandError(
            f"{url} has no certificate authority of its own ({status}).",
            next_step="If its certificate is one that your system trusts, leave out "
            "--ca-fingerprint.",
        )
    return content.decode("ascii", errors="replace")
