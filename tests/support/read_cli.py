"""What `casemate serve` goes on as, once it has read its command line.

That is an interpreter of its own (`casemate.cli.serving`), whatever has read the command line
before. To import what reads it takes a tenth of the processor time of a node's start: here it is
imported once for all nodes of a test process.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Sequence
from typing import NamedTuple, NoReturn
from unittest import mock

from casemate.cli import interrupts
from casemate.cli.stood_in import leave_out_relative

_LOCK = threading.Lock()


class Supervisor(NamedTuple):
    """How it is started."""

    command: list[str]
    options: int
    """The descriptor of what it is told, by the number that the command names; to be closed."""
    environment: dict[str, str]


class _BecameError(BaseException):
    """Ends a command where its process would become another one."""


def read(arguments: Sequence[str]) -> Supervisor | None:
    """Read the arguments of `casemate`; None if they do not start a node, as a process tells."""
    from casemate.cli.main import run

    became: list[str] = []

    def become(_: str, command: list[str]) -> NoReturn:
        became.extend(command)
        raise _BecameError

    with (
        _LOCK,
        mock.patch.object(os, "execv", become),
        mock.patch.object(sys, "argv", ["casemate", *arguments]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(_BecameError),
    ):
        try:
            run(arguments)
        finally:
            interrupts.let_through()  # this process becomes no other one
    if not became:
        return None
    environment = dict(os.environ)
    leave_out_relative(environment)
    options = int(became[became.index("casemate.cli.serving") + 1])
    return Supervisor(became, options, environment)
