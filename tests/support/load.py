"""Clients that call a node all the time, and remember how every single call went."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from support.raw_http import connect, read_answer, request


@dataclass(frozen=True)
class Call:
    """One call. `status` is None if it got no whole answer, and `failure` says why."""

    started: float
    ended: float
    status: int | None
    body: Any = None
    failure: str = ""


class Load:
    """Some clients, each with one kept-alive connection at a time, until told to stop.

    `refused` counts connections that were refused before anything was sent on them; with
    `until_refused` a client ends with its first one.
    """

    def __init__(
        self,
        port: int,
        target: str,
        key: str | None,
        *,
        clients: int = 3,
        until_refused: bool = False,
    ) -> None:
        self.calls: list[Call] = []
        self.refused = 0
        self.pause = 0.0
        """Seconds that each client waits after a call."""
        self._port = port
        self._raw = request(target, b'{"n":1}', key=key)
        self._until_refused = until_refused
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def join(self, seconds: float = 45.0) -> None:
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a call got neither an answer nor an end"

    def more(self, count: int, seconds: float = 20.0) -> None:
        """Wait until that many more calls are over."""
        goal = len(self.calls) + count
        deadline = time.monotonic() + seconds
        while len(self.calls) < goal:
            assert time.monotonic() < deadline, f"{len(self.calls)} of {goal} calls"
            time.sleep(0.005)

    @property
    def failed(self) -> list[Call]:
        return [call for call in self.calls if call.status != 200]

    def _run(self) -> None:
        sock: socket.socket | None = None
        while not self._stop.is_set():
            if sock is None:
                try:
                    sock = connect(self._port)
                except ConnectionRefusedError:
                    self.refused += 1
                    if self._until_refused:
                        return
                    time.sleep(0.01)
                    continue
            if not self._call(sock):
                sock.close()
                sock = None
            if self.pause:
                self._stop.wait(self.pause)
        if sock is not None:
            sock.close()

    def _call(self, sock: socket.socket) -> bool:
        """Make one call; return whether the connection can be used again."""
        started = time.monotonic()
        try:
            sock.sendall(self._raw)
            answer = read_answer(sock)
            body = json.loads(answer.body) if answer.body else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
            self.calls.append(Call(started, time.monotonic(), None, failure=failure))
            return False
        self.calls.append(Call(started, time.monotonic(), answer.status, body))
        return not answer.close
