"""A process's own end: how it begins, says that it is confined, and ends."""

from __future__ import annotations

import codecs
import contextlib
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec

from casemate.child.collecting import keep_loaded
from casemate.child.confinement import Confinement, confine
from casemate.child.failure import Failure
from casemate.child.heartbeat import Heart
from casemate.child.log import log_as, report
from casemate.child.proof import Held
from casemate.child.protocol import ChildConfig, NotReady, Ready, take_connection
from casemate.decoding import DECODING_ERRORS, decodable

_CODECS = ("ascii", "latin-1", "idna", "utf-16-be")
"""Modules that the standard library loads on first use, when they may be out of reach."""

C = TypeVar("C", bound=ChildConfig)


class Supervised:
    """What a process has of its supervisor."""

    def __init__(self, config: ChildConfig) -> None:
        """Take over the descriptors of `config`."""
        self.control = socket.socket(fileno=config.control)
        self.heart = Heart(config.heart)
        self._uid = config.uid

    def confine(self, declared: Confinement, *, folder: int | None = None) -> Held:
        """Give up every right for good; see `confine`. Raises OSError."""
        return confine(declared, uid=self._uid, folder=folder)

    def ready(self, held: Held) -> None:
        """Say that this process is confined, once all it needs is there.

        Raises EOFError if nobody hears it.
        """
        try:
            self.control.send(msgspec.json.encode(Ready(held)))
        except OSError as error:
            raise EOFError from error

    def refuse(self, failure: Failure) -> None:
        """Say why this process does not start."""
        self.control.send(msgspec.json.encode(NotReady(failure)))

    def connection(self) -> socket.socket:
        """Wait for the one connection of a process that has one. Raises EOFError without any."""
        while True:
            if (sock := take_connection(self.control)) is not None:
                return sock


def main(name: str, kind: type[C], run: Callable[[C], int]) -> NoReturn:
    """Run a process of ours with the configuration in its argument, and end it."""
    try:
        config = msgspec.json.decode(sys.argv[1], type=decodable(kind))
    except (IndexError, *DECODING_ERRORS):
        report(name, "expected a configuration as JSON")
        sys.exit(2)
    log_as(name)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for codec in _CODECS:
        codecs.lookup(codec)
    keep_loaded()
    try:
        code = run(config)
    except EOFError:
        code = 0  # nobody wants it any more
    except (OSError, ValueError) as error:
        report(name, str(error))
        code = 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A thread may be waiting for a server of names that never answers; nobody waits for it.
    os._exit(code)
