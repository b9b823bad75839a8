"""What the tests of the command line share."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from api_fake_control import OWNER_TEXT
from cli_node import Node, start_node

from casemate.cli.main import run


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    """An empty home and working folder, and an environment without our variables."""
    for name in list(os.environ):
        if name.startswith("CASEMATE_") or name in ("NO_COLOR", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli(home: Path, capsys, monkeypatch) -> Callable[..., Result]:
    """Runs a command line in this process, without a terminal."""

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def node(home: Path, tmp_path: Path, monkeypatch) -> Iterator[Node]:
    """A node, chosen by the environment with an owner's token."""
    spool = tmp_path / "spool"
    spool.mkdir()
    started, stop = start_node(spool)
    monkeypatch.setenv("CASEMATE_URL", started.url)
    monkeypatch.setenv("CASEMATE_KEY", OWNER_TEXT)
    yield started
    stop()


@pytest.fixture
def terminal(home: Path) -> Callable[..., Result]:
    """Runs a command line in a process of its own at a terminal; `keys` are typed at the prompt."""

    def call(
        *arguments: str,
        keys: bytes = b"",
        prompt: bytes = b"",
        environ: dict[str, str] | None = None,
    ) -> Result:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "casemate.cli.main", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", **(environ or {})},
            start_new_session=True,
        )
        os.close(slave)
        output = bytearray()
        try:
            while chunk := os.read(master, 65536):
                output += chunk
                if keys and prompt in output:
                    os.write(master, keys)
                    keys = b""
        except OSError:  # EIO: the last process of the terminal is gone
            pass
        finally:
            os.close(master)
            try:
                code = process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        return Result(code, output.decode(errors="replace"), "")

    return call
