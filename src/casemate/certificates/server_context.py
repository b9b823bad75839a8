"""Contexts for servers of certificates that are looked at first."""

from __future__ import annotations

import ssl
import time

from casemate.certificates.issuing import ends_at, is_for_servers, load_certificate, now_utc
from casemate.certificates.key_pair import CertificateError, KeyPair
from casemate.certificates.tls_settings import tls_context


def server_context(pair: KeyPair, *, to_come: bool = False) -> ssl.SSLContext:
    """Return a context for servers; see `tls_context`. With `to_come` it may begin later than now.

    Raises CertificateError if the pair is not one, not valid now, or for another purpose.
    """
    certificate, now = load_certificate(pair.certificate), now_utc(time.time())
    begun = to_come or certificate.not_valid_before_utc <= now
    if not begun or now >= ends_at(pair.certificate):
        raise CertificateError(
            f"The certificate is valid from {certificate.not_valid_before_utc} to "
            f"{certificate.not_valid_after_utc}, and it is {now}.",
            next_step="Renew it (--tls-cert, --tls-key), and check the clock of this host.",
        )
    if not is_for_servers(certificate):
        raise CertificateError(
            "The certificate is for another purpose than a server's, so no client would take it.",
            next_step="Have one issued whose extended key usage is serverAuth.",
        )
    return tls_context(pair)
