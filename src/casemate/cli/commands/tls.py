"""`casemate tls`: the certificate of a node."""

from __future__ import annotations

import hashlib
import socket
import ssl
from urllib.parse import urlsplit

import msgspec

from casemate.cli.authority import client_context, fingerprint_of
from casemate.cli.credentials import Credentials, choose
from casemate.cli.errors import CommandError, UnreachableError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_table

app = new_app(
    "The certificate of a node.",
    examples="$ casemate tls show",
)
_CONNECT_SECONDS = 5.0
_WARN_DAYS = 14


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What `casemate tls show --json` prints."""

    node: str
    protocol: str
    cipher: str
    names: tuple[str, ...]
    valid_until: str
    days_left: int
    fingerprint: str
    """SHA-256 of the node's certificate."""
    authority_fingerprint: str | None
    """SHA-256 of the node's own authority, if that is what is trusted."""


def _connect(credentials: Credentials) -> tuple[bytes, str, str]:
    """Return the node's certificate (DER), protocol and cipher, once it is verified."""
    parts = urlsplit(credentials.url)
    host = parts.hostname or ""
    context = client_context(credentials.ca)
    try:
        with (
            socket.create_connection((host, parts.port or 443), _CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            cipher = secure.cipher()
            certificate = secure.getpeercert(binary_form=True) or b""
            return certificate, secure.version() or "", cipher[0] if cipher else ""
    except ssl.SSLCertVerificationError as error:
        raise CommandError(
            f"The certificate of {credentials.url} is not trusted: {error.verify_message}.",
            next_step=f"If it is the node's own, run `casemate login {credentials.url} "
            "--ca-fingerprint SHA256` with the fingerprint that `casemate serve` shows.",
        ) from error
    except OSError as error:
        raise UnreachableError(
            f"{credentials.url} does not answer: {error.strerror or error}.",
            next_step="Start a node with `casemate serve`, or name another one with "
            "`casemate login` or CASEMATE_URL.",
        ) from error


def _describe(credentials: Credentials) -> Certificate:
    import time

    from casemate.certificates.issuing import ends_at, names_of, now_utc

    der, protocol, cipher = _connect(credentials)
    pem = ssl.DER_cert_to_PEM_cert(der).encode()
    names, end = names_of(pem), ends_at(pem)
    return Certificate(
        node=credentials.url,
        protocol=protocol,
        cipher=cipher,
        names=names.dns + names.addresses,
        valid_until=end.isoformat(),
        days_left=(end - now_utc(time.time())).days,
        fingerprint=hashlib.sha256(der).hexdigest(),
        authority_fingerprint=fingerprint_of(credentials.ca) if credentials.ca else None,
    )


@command(app, examples="$ casemate tls show\n$ casemate tls show --json")
def show(json: JsonOption = False) -> None:
    """Show the certificate of the node, once it is verified, and who issued it."""
    credentials = choose()
    if not credentials.url.startswith("https://"):
        raise CommandError(
            f"{credentials.url} is not encrypted, so it has no certificate.",
            next_step="Log in to the node's https address: `casemate login https://...`.",
        )
    found = _describe(credentials)
    if json:
        print_json(found)
        return
    rows = [
        ("node", found.node),
        ("protocol", f"{found.protocol}, {found.cipher}"),
        ("names", " ".join(found.names)),
        ("valid until", f"{found.valid_until} ({found.days_left} days)"),
        ("certificate", found.fingerprint),
        ("vouched for by", found.authority_fingerprint or "what this system trusts"),
    ]
    print_table(("", "CERTIFICATE"), rows, empty="")
    if found.days_left < _WARN_DAYS:
        note(f"It ends in {found.days_left} days.", YELLOW)
