"""A node on .demo/data, its master key beside it: started, waited for, ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from workspace import CASEMATE, HOME, ROOT, DemoError, environment, say

from casemate.model.errors import ProtectionMissingError
from casemate.supervisor.function_ids import function_ids

DATA = HOME / "data"
MASTER_KEY = HOME / "master.key"
"""Beside the data and not inside: whoever copies the data does not copy the key of it."""
TOKEN_FILE, NODE_OUTPUT, NODE_LOG = HOME / "token", HOME / "node.out", HOME / "node.log"
USUAL_PORT = 8787
START_SECONDS, STOP_SECONDS = 60, 40


@dataclass
class Node:
    """A running node."""

    process: subprocess.Popen[bytes]
    url: str
    token: str
    """The owner's."""

    @property
    def variables(self) -> dict[str, str]:
        """Return what tells a command to speak to this node."""
        return {"CASEMATE_URL": self.url, "CASEMATE_KEY": self.token}


def start_node() -> Node:
    """Start a node on .demo/data, whose owner's token is kept in .demo/token."""
    if DATA.exists() and not (MASTER_KEY.exists() and TOKEN_FILE.exists()):
        say("    The master key or the owner's token is no longer here: starting with empty data.")
        shutil.rmtree(DATA)
    process, url, token = _serve()
    if token is not None:
        with _private(TOKEN_FILE) as file:
            file.write(f"{token}\n".encode())
    return Node(process, url, TOKEN_FILE.read_text(encoding="ascii").strip())


def _private(path: Path) -> BinaryIO:
    """Open an empty file that only its owner can read: what goes into it is or holds a token."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _serve() -> tuple[subprocess.Popen[bytes], str, str | None]:
    """Run `casemate serve`; return its process, address and, after the first start, its token."""
    port = USUAL_PORT if _is_free(USUAL_PORT) else 0
    command = [CASEMATE, "serve", "--data", str(DATA), "--master-key", f"file:{MASTER_KEY}"]
    command += ["--port", str(port), "--json", *_accepted_risks()]
    with _private(NODE_OUTPUT) as output, NODE_LOG.open("wb") as log:
        # A session of its own: Ctrl-C reaches the demo alone, which then ends the node in order.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    try:
        started = _first_line(process)
        url, token = str(started["url"]), started.get("key")
        _wait_until_healthy(process, url)
    except BaseException:
        stop_node(process)
        raise
    return process, url, token


def _accepted_risks() -> list[str]:
    """Return what the node is started without on this host, said aloud: the demo is a try-out."""
    try:
        function_ids(None)
    except ProtectionMissingError as error:
        say(f"    {error.message}")
        say(f"    The demo accepts that for itself. Better: {error.next_step}.")
        return ["--accept-risk", "shared-uid"]
    return []


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the line in which the node says where it is."""
    for _ in _ticks(process):
        line, newline, _ = NODE_OUTPUT.read_bytes().partition(b"\n")
        if newline:
            break
    else:
        raise DemoError(f"the node has not said where it is in {START_SECONDS} s:\n{last_words()}")
    try:
        started = json.loads(line)
    except ValueError:
        started = None
    if not isinstance(started, dict) or "url" not in started:
        raise DemoError(f"expected a line of JSON with the node's url, got {line[:200]!r}")
    return started


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in _ticks(process):
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/api/v1/health", timeout=5).is_success:
                return
    raise DemoError(f"the node is not healthy after {START_SECONDS} s:\n{last_words()}")


def _ticks(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Yield while the node may still be starting; DemoError if it has ended."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        yield
        if process.poll() is not None:
            raise DemoError(f"the node ended with code {process.returncode}:\n{last_words()}")
        time.sleep(0.02)


def stop_node(process: subprocess.Popen[bytes]) -> None:
    """End the node as an operator would; DemoError if it does not end well."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise DemoError(f"the node ignored SIGTERM for {STOP_SECONDS} s and was killed") from None
    if code:
        raise DemoError(f"the node ended with code {code}:\n{last_words()}")


def last_words(lines: int = 20) -> str:
    """Return the end of what the node has logged."""
    text = NODE_LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text) or f"    ({NODE_LOG} is empty)"
