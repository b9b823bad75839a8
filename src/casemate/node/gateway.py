"""The gateway process: parses the network, runs the path, holds the records.

Started by the supervisor with `python -m casemate.node.gateway CONFIG`. As root it first imports
everything, then becomes an unprivileged uid; in any case it ends up without capabilities and
behind a filter under which it can neither make nor enter a sandbox.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from casemate.model.errors import CasemateError
from casemate.node.options import Folders, GatewayConfig
from casemate.runner import linux, seccomp
from casemate.store.sqlite import SqliteOptions, SqliteStore
from casemate.wiring import Gateway

_DRAIN_SECONDS = 30.0
_CODECS = ("ascii", "latin-1", "idna")
"""Modules that the standard library loads on first use, when it may be out of reach."""
_FLUSH_SECONDS = 0.2
"""How long records of invocations may wait for company; reading them back flushes first."""


def confine(uid: int | None) -> None:
    """Give up every right for good. Raises OSError if the kernel does not do it."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # Only now: the kernel forgets this with a change of uid (prctl(2)).
    linux.die_with_parent()
    linux.set_no_new_privileges()
    linux.drop_capabilities(bounding=False)
    linux.set_not_dumpable()
    linux.install_filter(seccomp.gateway_program())


def _announce(config: GatewayConfig, url: str, key: str | None) -> None:
    if config.json:
        line = msgspec.json.encode({"url": url, "key": key}).decode()
        print(line, flush=True)
        return
    print(f"Casemate serves on {url}", flush=True)
    if key is not None:
        print(
            f"\nThe admin key, shown this once:\n\n    {key}\n\n"
            f"Keep it, then: casemate login {url}\n",
            flush=True,
        )


async def _serve(config: GatewayConfig) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    folders = Folders(Path(config.data))
    folders.clear_spool()
    store = SqliteStore.open(folders.store, SqliteOptions(flush_interval=_FLUSH_SECONDS))
    supervisor = socket.socket(fileno=config.supervisor)
    gateway = Gateway(config, folders, store, supervisor, loop)
    try:
        key = await gateway.control.load()
        listener = socket.socket(fileno=config.listener)
        await gateway.server.start(sock=listener)
        host, port = gateway.server.address[:2]
        host = f"[{host}]" if ":" in host else host
        _announce(config, f"http://{host}:{port}", key)
        waiting = asyncio.ensure_future(stopping.wait())
        await asyncio.wait((waiting, gateway.client.lost), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        gateway.control.stopping = True
        if stopping.is_set():
            await gateway.server.drain(_DRAIN_SECONDS)
        await gateway.server.close()
    finally:
        gateway.dispatcher.close()
        with contextlib.suppress(CasemateError):
            await store.close()


def main() -> int:
    """Run the gateway; return its exit code."""
    config = msgspec.json.decode(sys.argv[1], type=GatewayConfig)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for codec in _CODECS:
        codecs.lookup(codec)
    try:
        confine(config.uid)
        uvloop.run(_serve(config))
    except (OSError, CasemateError) as error:
        print(f"casemate: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
