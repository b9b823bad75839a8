"""The certificate of the node's own authority, for clients without any credentials.

It is public: a client compares its fingerprint with the one that the operator gave it.
"""

from __future__ import annotations

from typing import Protocol

from casemate.front.asking import Asking
from casemate.front.nowhere import Nowhere
from casemate.model.http import Destination, HttpHead, HttpResponse

AUTHORITY_PATH = "/.well-known/casemate-ca.pem"
_READING = ("GET", "HEAD")
_HEADERS = ((b"content-type", b"application/x-pem-file"), (b"cache-control", b"no-store"))


class Certified(Protocol):
    """What speaks TLS with certificates of some authority."""

    @property
    def authority(self) -> bytes | None:
        """The certificate (PEM) of the node's own authority; None if it has none."""
        ...


class Authority:
    """Answers with the authority's certificate."""

    def __init__(self, tls: Certified | None, nowhere: Nowhere) -> None:
        """Answer with what `tls` has at the time."""
        self._tls = tls
        self._nowhere = nowhere

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Answer before a body is read."""
        authority = None if self._tls is None else self._tls.authority
        if authority is None:
            return self._nowhere.find(head, asking)
        if head.method not in _READING:
            return self._nowhere.only(head, asking, _READING)
        return HttpResponse(200, _HEADERS, authority)
