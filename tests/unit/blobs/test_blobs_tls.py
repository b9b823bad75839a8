"""Stores that are spoken to by TLS, and whom of those that answer is believed."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest

from casemate.blobs import BlobsUnreachableError, parse_s3_url
from casemate.blobs.s3_client import Limits, S3Client
from casemate.certificates.issuing import Names, issue, new_authority, now_utc
from support.blob_places import KEYS
from support.s3_answers import Asked, always, answering, plain

ANSWER = plain(200, b"0123456789")
LIMITS = Limits(request=2.0, connect=1.0, attempts=1)


def server_side(path: Path, names: tuple[str, ...], age: float = 0.0) -> tuple[ssl.SSLContext, str]:
    """Return a server's context, and the authority that vouches for it."""
    authority = new_authority(Names.of(["127.0.0.1", "localhost"]), now_utc(time.time() - age))
    made = issue(authority, Names.of(names), now_utc(time.time()) - timedelta(seconds=age))
    file = path / "server.pem"
    file.write_bytes(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, authority.certificate.decode()


def client(port: int, authority: str | None) -> S3Client:
    trusted = ssl.create_default_context(cadata=authority) if authority else None
    url = parse_s3_url(f"s3://bucket?endpoint=https://127.0.0.1:{port}")
    return S3Client(url, KEYS, LIMITS, trusted)


def test_a_certificate_that_is_vouched_for(tmp_path: Path) -> None:
    context, authority = server_side(tmp_path, ("127.0.0.1",))
    with answering(always(ANSWER), context) as server:
        asked = client(server.port, authority)
        assert asked.get_small("k", 10) == asked.get_small("k", 10) == b"0123456789"


@pytest.mark.parametrize(
    ("names", "age", "known", "told"),
    [
        (("127.0.0.1",), 0.0, False, "certificate is not accepted"),
        (("localhost",), 0.0, True, "certificate is not accepted"),
        (("127.0.0.1",), 200 * 86_400.0, True, "certificate is not accepted"),
    ],
)
def test_certificates_that_are_not_accepted(
    tmp_path: Path, names: tuple[str, ...], age: float, known: bool, told: str
) -> None:
    context, authority = server_side(tmp_path, names, age)
    with answering(always(ANSWER), context) as server:
        with pytest.raises(BlobsUnreachableError, match=told):
            client(server.port, authority if known else None).get_small("k", 10)
        assert server.asked == []  # no key was sent


def test_a_server_that_speaks_no_tls_learns_nothing() -> None:
    with answering(always(ANSWER)) as server:
        with pytest.raises(BlobsUnreachableError):
            client(server.port, None).get_small("k", 10)
        assert server.asked == []


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    context, authority = server_side(tmp_path, ("127.0.0.1",))
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with answering(always(ANSWER), context) as server, pytest.raises(BlobsUnreachableError):
        client(server.port, authority).get_small("k", 10)


def test_slow_answers_and_handshakes_by_tls_end_at_the_limit(tmp_path: Path) -> None:
    context, authority = server_side(tmp_path, ("127.0.0.1",))

    def drip(_asked: Asked, connection: socket.socket) -> None:
        while True:
            connection.sendall(b"H")
            time.sleep(0.02)

    quick = Limits(request=0.4, connect=0.3, attempts=1)
    trusted = ssl.create_default_context(cadata=authority)
    with answering(drip, context) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (server.port, silent.getsockname()[1]):
            url = parse_s3_url(f"s3://bucket?endpoint=https://127.0.0.1:{port}")
            began = time.monotonic()
            with pytest.raises(BlobsUnreachableError, match="in time"):
                S3Client(url, KEYS, quick, trusted).put("k", b"x" * 100_000)
            assert time.monotonic() - began < 10
