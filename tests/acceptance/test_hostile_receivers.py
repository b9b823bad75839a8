"""Who alerts are sent to hangs, drips, floods or redirects inside: a real node tells all others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.monitor import Origin, Receiver
from support.node import TestNode
from support.processes import memory

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]
SETTINGS = """
[alerts.{name}]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "ops/alert-key"
level = "medium"
accept = ["private", "plaintext"]
"""
DEADMAN = """
[deadman]
url = "http://127.0.0.1:{port}/alive"
every = "1s"
accept = ["private", "plaintext"]
"""


def hang(_sock: socket.socket) -> None:
    time.sleep(120)


def drip(sock: socket.socket) -> None:
    sock.recv(65536)
    with contextlib.suppress(OSError):
        for each in b"HTTP/1.1 200 OK\r\n\r\n" * 50:
            sock.sendall(bytes([each]))
            time.sleep(1)


def _flood(start: bytes) -> Callable[[socket.socket], None]:
    def flood(sock: socket.socket) -> None:
        sock.recv(65536)
        with contextlib.suppress(OSError):
            sock.sendall(start)
            for _ in range(1 << 14):  # of 64 KiB: a gigabyte
                sock.sendall(b"x" * 65536)

    return flood


def _redirect(to: str) -> Callable[[socket.socket], None]:
    def redirect(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(f"HTTP/1.1 307 Moved\r\nlocation: {to}\r\n\r\n".encode())

    return redirect


def spray(node: TestNode, who: str) -> None:
    for n in range(6):
        body = {"name": f"{who}-{n}", "password": "Summer2026!", "code": "123456"}
        assert node.client.post(f"{node.url}/api/v1/login", json=body).status_code == 401


def channels(node: TestNode) -> dict[str, dict[str, Any]]:
    out = casemate(node, "alert", "ls", "--json").stdout
    return {each["name"]: each for each in json.loads(out)["channels"]}


def test_a_webhook_that_does_its_worst_delays_no_other(tmp_path: Path) -> None:
    with Receiver() as inside, Receiver() as good, contextlib.ExitStack() as stack:
        hostile = {
            "hangs": hang,
            "drips": drip,
            "gigabyte": _flood(b"HTTP/1.1 503 Oh\r\ncontent-length: 1073741824\r\n\r\n"),
            "longline": _flood(b"HTTP/1.1 503 "),
            "endless": _flood(b"HTTP/1.1 103 Early\r\nlink: "),
            "loopback": _redirect(f"http://127.0.0.1:{inside.port}/"),
            "metadata": _redirect("http://169.254.169.254/latest/meta-data/"),
            "file": _redirect("file:///etc/passwd"),
        }
        text = SETTINGS.format(name="good", port=good.port)
        for name, what in hostile.items():
            origin = stack.enter_context(Origin(what))
            text += SETTINGS.format(name=name, port=origin.port)
        (tmp_path / "node.toml").write_text(text)
        node = TestNode(tmp_path / "data", "--config", str(tmp_path / "node.toml")).start()
        try:
            done = casemate(node, "secrets", "set", "ops/alert-key", stdin="a long random text")
            assert done.returncode == 0, done.stderr
            monitor = node.part("monitor")
            before = memory(monitor, "VmHWM")
            spray(node, "person")
            node.wait_until(lambda: good.requests, 30)
            node.wait_until(lambda: all(channels(node)[name]["problem"] for name in hostile), 60)
            state = channels(node)
            print({name: each["problem"] for name, each in state.items()})
            assert not state["good"]["problem"]
            for name in ("loopback", "metadata", "file"):
                assert "not followed" in state[name]["problem"]
            for name in ("hangs", "drips"):
                assert "was not taken within" in state[name]["problem"]
            assert inside.requests == []
            assert node.part("monitor") == monitor
            peak = memory(monitor, "VmHWM")
            print(f"monitor: {before >> 20} MB before, {peak >> 20} MB at most")
            assert peak < before + (32 << 20)
            count = len(good.requests)
            began = time.monotonic()
            casemate(node, "alert", "test", "good")
            node.wait_until(lambda: len(good.requests) > count, 10)
            print(f"another is told within {time.monotonic() - began:.1f} s")
        finally:
            node.close()


def test_whoever_gets_signs_of_life_misses_them_when_the_monitor_is_gone(tmp_path: Path) -> None:
    with Receiver() as receiver:
        (tmp_path / "node.toml").write_text(DEADMAN.format(port=receiver.port))
        node = TestNode(tmp_path / "data", "--config", str(tmp_path / "node.toml")).start()
        try:
            node.wait_until(lambda: len(receiver.requests) >= 3, 30)
            stopped = node.part("monitor")
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(0.5)
            count = len(receiver.requests)
            time.sleep(4)
            assert len(receiver.requests) == count, "it is silent"
            # A hanging monitor is replaced, and there are signs again.
            node.wait_until(lambda: len(receiver.requests) > count + 1, 60)
            assert node.part("monitor") != stopped
            node.stop(signal.SIGKILL)
            time.sleep(2)
            count = len(receiver.requests)
            time.sleep(4)
            assert len(receiver.requests) == count, "it is silent"
        finally:
            node.close()
