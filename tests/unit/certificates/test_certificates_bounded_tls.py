"""TLS of clients that are not trusted: all data passes, and little that is none."""

from __future__ import annotations

import contextlib
import random
import ssl
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.certificates import issuing
from casemate.certificates.bounded_tls import MOST_BESIDE, SHARE, TooMuchBesideError
from casemate.certificates.issuing import Names
from casemate.certificates.tls_settings import tls_context
from support.tls_records import ClientRecords, client

NOW = datetime.now(UTC)
NAMES = Names.of(["localhost"])
PAIR = issuing.issue(issuing.new_authority(NAMES, NOW), NAMES, NOW)


class Ends:
    """Both ends of a connection, in memory, after its handshake."""

    def __init__(self, folder: Path) -> None:
        incoming, self.sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.received, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        keys = folder / "keys"
        self.client = client(keys).wrap_bio(incoming, self.sent)
        self.server = tls_context(PAIR).wrap_bio(self.received, outgoing, server_side=True)
        for end in (self.client, self.server, self.client, self.server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            self.received.write(self.sent.read())
            incoming.write(outgoing.read())
        cipher = self.server.cipher()
        assert cipher is not None
        self.by_hand = ClientRecords(keys, cipher[0])

    def read(self, *pieces: bytes) -> bytes:
        """Return what the server reads of what comes in these pieces, as loops read it."""
        data = b""
        for piece in pieces:
            self.received.write(piece)
            try:
                while self.received.pending or self.server.pending():
                    data += self.server.read(1 << 18)
            except ssl.SSLWantReadError:
                pass
        assert not self.received.pending and not self.server.pending()
        return data


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_all_data_passes_however_it_comes(ends: Ends, seed: int) -> None:
    draw = random.Random(seed)
    sizes = [draw.choice((1, 5, 200, 5000, 16384, 100_000)) for _ in range(draw.randrange(1, 200))]
    said = [draw.randbytes(size) for size in sizes]
    for each in said:
        ends.client.write(each)
    raw = ends.sent.read()
    pieces, at = [], 0
    most = draw.choice((1, 7, 1448, 65536, 300_000)) if len(raw) < 50_000 else 300_000
    while at < len(raw):
        step = draw.randrange(1, most + 1)
        pieces.append(raw[at : at + step])
        at += step
    assert ends.read(*pieces) == b"".join(said)


def test_records_of_one_byte_are_no_reason_to_be_cut(ends: Ends) -> None:
    raw = b"".join(ends.by_hand.data(b"x") for _ in range(5000))
    assert ends.read(raw) == b"x" * 5000


def test_new_keys_now_and_then_are_taken(ends: Ends) -> None:
    """Also for as long as a connection lasts."""
    by_hand = ends.by_hand
    assert ends.read(by_hand.new_keys(MOST_BESIDE // 2) + by_hand.data(b"a")) == b"a"
    raw = b""
    for _ in range(500):
        raw += by_hand.new_keys(asked=True)
        raw += b"".join(by_hand.data(b"b") for _ in range(SHARE))
    assert ends.read(raw) == b"b" * 500 * SHARE


def test_a_byte_of_data_between_new_keys_does_not_make_up_for_them(ends: Ends) -> None:
    """Before: half of it new keys without end, four times as dear as the data alone."""
    by_hand = ends.by_hand
    raw = b"".join(by_hand.new_keys() + by_hand.data(b"x") for _ in range(500))
    with pytest.raises(TooMuchBesideError):
        ends.read(raw)


@pytest.mark.parametrize(("part", "cut"), [(1, True), (16, True), (2000, False)])
def test_a_greeting_in_many_parts_is_cut(part: int, cut: bool) -> None:
    """Before: one of 60 KB in as many records took 30 ms, and each peer may send a hundred."""
    padding = b"\0\x15" + struct.pack(">H", 60_000) + bytes(60_000)
    said = b"\3\3" + bytes(33) + b"\0\2\x13\2\1\0" + struct.pack(">H", len(padding)) + padding
    said = b"\1" + struct.pack(">I", len(said))[1:] + said
    received, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = tls_context(PAIR).wrap_bio(received, outgoing, server_side=True)
    for at in range(0, len(said), part):
        piece = said[at : at + part]
        received.write(b"\x16\3\1" + struct.pack(">H", len(piece)) + piece)
    with pytest.raises(ssl.SSLError) as told:
        server.do_handshake()
    assert isinstance(told.value, TooMuchBesideError) is cut


@pytest.mark.parametrize("piece", [1, 27, 100, 1 << 20])
@pytest.mark.parametrize("asked", [False, True])
def test_who_sends_new_keys_again_and_again_is_cut(ends: Ends, piece: int, asked: bool) -> None:
    raw = ends.by_hand.data(b"first") + ends.by_hand.new_keys(2000, asked=asked)
    record = len(raw) // 2000
    with pytest.raises(TooMuchBesideError):
        for at in range(0, len(raw), piece):
            ends.read(raw[at : at + piece])
            assert at < (MOST_BESIDE + 40) * record, "it goes on and on"


def test_the_end_of_a_client_is_seen(ends: Ends) -> None:
    ends.client.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        ends.client.unwrap()
    assert ends.read(ends.sent.read()) == b"last"
    assert ends.server.read(100) == b""
    ends.server.unwrap()


def test_an_end_without_a_word_is_told(ends: Ends) -> None:
    ends.received.write_eof()
    with pytest.raises(ssl.SSLEOFError):
        ends.server.read(100)
