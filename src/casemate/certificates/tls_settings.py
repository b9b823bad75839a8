"""The settings of TLS, and how a key gets into them without a file on the disk."""

from __future__ import annotations

import os
import ssl

from casemate.certificates.bounded_tls import BoundedContext
from casemate.certificates.key_pair import CertificateError, KeyPair

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else."""


def _no_passphrase() -> str:
    raise CertificateError(
        "The key of the certificate is protected by a passphrase, which nobody is there to type.",
        next_step="Give the key without one, in a file that only the node can read.",
    )


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Load a pair by a file in memory (memfd_create(2)), which has no name and ends here.

    OpenSSL, as Python offers it, takes certificates from files only.
    """
    content = pair.certificate.rstrip() + b"\n" + pair.key
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_passphrase)
    finally:
        os.pwrite(descriptor, bytes(len(content)), 0)
        os.close(descriptor)


def tls_context(pair: KeyPair) -> ssl.SSLContext:
    """Return a context for servers: TLS 1.2 and 1.3, HTTP/1.1, no renegotiation or compression.

    Raises CertificateError if the pair is not one. Whether it is valid now is not looked at.
    """
    context = BoundedContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load(context, pair)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise CertificateError(
            f"The certificate and key cannot be used together: {reason}.",
            next_step="Give the key that the certificate was made with, both in PEM, the "
            "server's certificate first.",
        ) from error
    return context
