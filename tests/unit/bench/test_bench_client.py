"""The client, against a server that answers with given bytes."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from bench.client import Connection, Endpoint, Reply, answer, encode, event, is_right

Serve = Callable[..., Endpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server which sends these pieces to its one client."""
    listeners, threads = [], []

    def start(*pieces: bytes) -> Endpoint:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                for piece in pieces:
                    client.sendall(piece)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return Endpoint(port=listener.getsockname()[1], headers=(("Authorization", "Bearer x"),))

    yield start
    for thread in threads:
        thread.join(5)
    for listener in listeners:
        listener.close()


def ask(endpoint: Endpoint) -> Reply:
    connection = Connection(endpoint, timeout=5)
    try:
        return connection.exchange(encode(endpoint, event(1)))
    finally:
        connection.close()


def test_reply_of_known_length_in_pieces(serve: Serve) -> None:
    reply = ask(serve(b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nhe", b"llo"))
    assert reply == Reply(200, b"hello", True)


def test_chunked_reply(serve: Serve) -> None:
    head = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\nConnection: close\r\n\r\n"
    reply = ask(serve(head, b"3\r\nabc\r", b"\n2;x=y\r\nde\r\n0\r\n\r\n"))
    assert reply == Reply(201, b"abcde", False)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_anything_but_a_whole_reply_is_an_error(serve: Serve, sent: bytes) -> None:
    with pytest.raises((OSError, ValueError)):
        ask(serve(sent))


def test_request_is_whole() -> None:
    endpoint = Endpoint(port=80, path="/invoke/a/b", headers=(("Authorization", "Bearer k"),))
    head, body = encode(endpoint, event(3)).split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /invoke/a/b HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert b"\r\nAuthorization: Bearer k" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == event(3)


def test_only_the_right_answer_to_this_event_is_right() -> None:
    def reply(number: int, status: int = 200) -> Reply:
        return Reply(status, json.dumps(answer(number)).encode(), True)

    assert is_right(reply(4), 4)
    assert not is_right(reply(3), 4)
    assert not is_right(reply(4, 500), 4)
    assert not is_right(Reply(200, b"{", True), 4)
    assert not is_right(Reply(200, b"\xff", True), 4)
    assert not is_right(Reply(200, b"", True), 4)
