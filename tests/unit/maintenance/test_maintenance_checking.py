"""The process that checks a folder ends without a trace, whoever has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, os, signal, sys
import msgspec
from casemate.maintenance import checking

async def check(_config):
    if sys.argv[2] == "interrupted":
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)  # the task is cancelled soon, not at once
    checking._say(checking.CheckLine())

signal.signal(signal.SIGINT, signal.default_int_handler)
checking._check, checking.confine = check, lambda _uid: None
sys.exit(checking.main())
"""
_CONFIG = '{"data": "d", "vault": 0, "uid": null}'


@pytest.mark.parametrize(("what", "code"), [("unheard", 1), ("interrupted", -signal.SIGINT)])
def test_one_that_nobody_hears_and_one_that_is_interrupted_say_nothing(what, code) -> None:
    """Before, a check whose command was killed or ended by Ctrl-C printed a trace of its own."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, _CONFIG, what],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")
