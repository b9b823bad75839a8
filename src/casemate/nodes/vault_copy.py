"""Fetching a cluster's vault for a node that is about to start, by a process that can do no more.

A node that joins has to know how its master key is had before its vault process gives up all
rights, and that has no network. So the supervisor has a process of the gateway's user ask the
database, behind the gateway's filter, and hands what it gives to the vault unread.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from typing import Final

import msgspec

from casemate.child.failure import Failure
from casemate.child.start import PLAIN_ENVIRONMENT
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import UnavailableError
from casemate.model.processes import STORE_VARIABLE

FETCH_SECONDS: Final = 60.0
MAX_STATE: Final = 12 * 1024 * 1024
"""Of a vault; see `vault.folder.MAX_FILE`."""
_MAX_SAID: Final = 16 * 1024
_MODULE: Final = "casemate.nodes.vault_copy_process"


class FetchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the process is told; the URL is in its environment."""

    into: int
    """Descriptor of the file in memory."""
    uid: int | None
    unproved: bool


class Fetched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it says at its end."""

    size: int = -1
    """Bytes of the state; -1: the database has no vault."""
    failure: Failure | None = None


def fetch_vault(url: str, *, uid: int | None, unproved: bool) -> int | None:
    """Return the descriptor of a file in memory with the state; None if the database has no vault.

    Blocks. Raises UnavailableError.
    """
    into = os.memfd_create("vault", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(into, MAX_STATE + 1)
        fcntl.fcntl(into, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        found = _run(FetchConfig(into=into, uid=uid, unproved=unproved), url)
        if found.failure is not None:
            raise UnavailableError(found.failure.message, next_step=found.failure.next_step)
        if found.size > MAX_STATE:
            raise _no_answer(f"it says {found.size} bytes")
        if found.size >= 0:
            os.ftruncate(into, found.size)
            return into
    except BaseException:
        os.close(into)
        raise
    os.close(into)
    return None


def _run(config: FetchConfig, url: str) -> Fetched:
    process = subprocess.Popen(
        # -I: neither the working directory nor PYTHONPATH may name other modules.
        [sys.executable, "-I", "-m", _MODULE, msgspec.json.encode(config).decode()],
        pass_fds=(config.into,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**PLAIN_ENVIRONMENT, STORE_VARIABLE: url},
        cwd="/",
        start_new_session=True,
    )
    try:
        said = _said(process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    try:
        return msgspec.json.decode(said, type=decodable(Fetched))
    except DECODING_ERRORS as error:
        raise _no_answer(f"it ended with code {process.returncode}") from error


def _said(process: subprocess.Popen[bytes]) -> bytes:
    """Return what the process says until its end, bounded in bytes and time."""
    if process.stdout is None:
        return b""
    said = b""
    deadline = time.monotonic() + FETCH_SECONDS
    while len(said) <= _MAX_SAID:
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise _no_answer(f"it took longer than {FETCH_SECONDS:g} s")
        part = os.read(process.stdout.fileno(), _MAX_SAID)
        if not part:
            return said
        said += part
    raise _no_answer(f"it says more than {_MAX_SAID} bytes")


def _no_answer(why: str) -> UnavailableError:
    return UnavailableError(
        f"The process that fetches the cluster's vault has given none: {why}.",
        next_step="See above what it wrote, and that the database answers.",
    )
