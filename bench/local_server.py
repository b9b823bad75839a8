"""A server on loopback in a process of its own: gives back what comes, or answers HTTP."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from multiprocessing.connection import Connection

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"x" * 100


def _serve(sock: socket.socket) -> None:
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := sock.recv(65536):
            if not data.startswith(b"GET "):
                sock.sendall(data)
                continue
            while not data.endswith(b"\r\n\r\n"):
                more = sock.recv(65536)
                if not more:
                    return
                data += more
            sock.sendall(_ANSWER)


def _run(port: Connection) -> None:
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    port.send(server.getsockname()[1])
    while True:
        sock, _ = server.accept()
        threading.Thread(target=_serve, args=(sock,), daemon=True).start()


class LocalServer:
    """The server, from `with` on."""

    port: int

    def __enter__(self) -> LocalServer:
        """Start it."""
        receiving, sending = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(target=_run, args=(sending,), daemon=True)
        self._process.start()
        self.port = receiving.recv()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
