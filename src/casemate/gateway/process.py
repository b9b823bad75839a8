"""The gateway process: parses the network, runs the path, holds the records.

Started by the supervisor with `python -m casemate.gateway.process CONFIG`. As root it first imports
everything, then becomes an unprivileged uid; in any case it ends up without capabilities and
behind a filter under which it can neither make nor enter a sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from casemate import __version__
from casemate.certificates.tls import NodeTls
from casemate.child.collecting import keep_loaded, spare_collections
from casemate.child.gateway_confinement import confine
from casemate.child.heartbeat import Heart
from casemate.child.log import log_as, report
from casemate.decoding import decodable
from casemate.folder.folders import Folders
from casemate.folder.presence import end_first_start
from casemate.gateway.objects import Gateway
from casemate.gateway.own_state import open_own
from casemate.gateway.state import State
from casemate.model.errors import CasemateError
from casemate.model.processes import START_FAILED, GatewayConfig
from casemate.nodes import Self
from casemate.recorder.client import DURABLE_SECONDS
from casemate.set_clock import Believed, believe
from casemate.triggers.http_server import listen_on
from casemate.vault import VaultClient

_log = logging.getLogger(__name__)
_DRAIN_SECONDS = 30.0
_EVERY_ADDRESS = ("0.0.0.0", "[::]")  # noqa: S104  # nosec B104 - no address is opened by it
_END_SECONDS = 10.0
"""How long closing may take once requests have been answered or cut off."""
_WITHOUT_VAULT_SECONDS = 1.5
"""How long it may take once the vault is gone: nobody is answered until another gateway has another
vault. What was acknowledged is kept, as after a kill."""
_LEFT_SECONDS = 0.3
"""How long the recorder is waited for then: if it ended too, no other can open its journal."""
Opening = Callable[[GatewayConfig, Folders, VaultClient, Self], Awaitable[State]]


def _announce(config: GatewayConfig, url: str, token: str | None, tls: NodeTls | None) -> None:
    fingerprint = tls.authority_fingerprint if tls is not None else None
    if config.json:
        line = {"url": url, "key": token, "ca_fingerprint": fingerprint}
        print(msgspec.json.encode(line).decode(), flush=True)
        return
    print(f"Casemate serves on {url}", flush=True)
    trust = ""
    if fingerprint is not None:
        print(f"Its authority's fingerprint: {fingerprint}", flush=True)
        trust = f" --ca-fingerprint {fingerprint}"
    if token is not None:
        print(
            f"\nAn owner's token, shown only this once:\n\n    {token}\n\n"
            f"Keep it, then: casemate login {_reachable(config, url)}{trust}\n",
            flush=True,
        )
    # Beside the first token, whichever start came to show it: one before may have been ended.
    if token is not None and not config.recover_owner and config.master_key_file is not None:
        print(
            "The master key of everything that the node keeps:\n\n"
            f"    {config.master_key_file}\n\n"
            "Copy it to a safe place, apart from the data and its backups. Without it, nothing\n"
            "can be read and no backup can be restored.\n",
            flush=True,
        )


def _own(config: GatewayConfig, url: str) -> Self:
    """Return as what other nodes know this one."""
    host = socket.gethostname()
    return Self(host=host, address=_named(config, url, host), version=__version__)


def _reachable(config: GatewayConfig, url: str) -> str:
    """Return an address that a login can be given. No certificate is for one that stands for all.

    The node's own certificate is for `localhost` and each `--tls-name`.
    """
    given = config.tls_certificate is not None
    return _named(config, url, "NAME_OF_THE_CERTIFICATE" if given else "localhost")


def _named(config: GatewayConfig, url: str, otherwise: str) -> str:
    """Return the node's address; where it listens on all, by a `--tls-name`, or `otherwise`."""
    if config.public_url is not None:
        return config.public_url
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    if host not in _EVERY_ADDRESS:
        return url
    return f"{scheme}://{next(iter(config.tls_names), otherwise)}:{port}"


def _address(listener: socket.socket, *, tls: bool) -> str:
    """Return the URL of a socket that the supervisor has bound."""
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{host}:{port}"


def _opening(config: GatewayConfig) -> Opening:
    """Return what opens the state. To be asked while modules can still be imported."""
    if not config.shared:
        return open_own
    # Its client library comes with an extra that a node alone need not have.
    from casemate.gateway.shared_state import open_shared

    return open_shared


def _end_at_once() -> None:
    """End a process whose orderly end takes too long: the supervisor waits to start another."""
    _log.error("the gateway did not end in its time; what it had acknowledged is kept")
    logging.shutdown()
    os._exit(1)


def _closing_seconds(vault: VaultClient, *, drains: bool) -> float:
    if drains:
        return _DRAIN_SECONDS + _END_SECONDS
    return _WITHOUT_VAULT_SECONDS if vault.lost.done() else _END_SECONDS


async def _serve(config: GatewayConfig, opening: Opening, serving: asyncio.Event) -> None:
    """Serve until told to stop; `serving` is set once requests are answered."""
    believe(None if config.clock is None else Believed(*config.clock))
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    folders = Folders(Path(config.data))
    folders.clear_spool()
    vault = VaultClient(socket.socket(fileno=config.vault), loop)
    listener = socket.socket(fileno=config.listener)
    url = _address(listener, tls=config.tls)
    state = await opening(config, folders, vault, _own(config, url))
    end_first_start(folders)
    gateway = Gateway(
        config, folders, config.public_url or url, state=state, vault=vault, loop=loop
    )
    upkeep = asyncio.ensure_future(gateway.accounts.maintain())
    gateway.check.keep_checking()
    try:
        tls = gateway.tls
        if tls is not None:
            # Before a token is made, which a start that fails would never show.
            await tls.start()
        # So does one whose port another node has taken since both were bound to it.
        listen_on(listener)
        token = await gateway.load(recover_owner=config.recover_owner)
        spare_collections()
        loop.add_signal_handler(signal.SIGHUP, tls.reload if tls is not None else lambda: None)
        await gateway.serve(listener)
        _announce(config, url, token, tls)
        serving.set()
        Heart(config.heart, lambda: gateway.path.dispatcher.busy).beat_in(loop)
        waiting = asyncio.ensure_future(stopping.wait())
        children = gateway.children()
        ends: tuple[asyncio.Future[Any], ...] = (waiting, gateway.client.lost, vault.lost)
        await asyncio.wait(
            (*ends, *children.values()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        gateway.control.stop()
        gone = [name for name, lost in children.items() if lost.done()]
        for name in gone:
            _log.error("no %s can be had any more; the gateway starts anew", name)
        drains = stopping.is_set() or bool(gone)
        loop.call_later(_closing_seconds(vault, drains=drains), _end_at_once)
        if drains:
            await asyncio.gather(
                gateway.server.drain(_DRAIN_SECONDS), gateway.delivery.stop(_DRAIN_SECONDS)
            )
        else:
            await gateway.delivery.stop(0.0)
        await gateway.server.close()
    finally:
        upkeep.cancel()
        with contextlib.suppress(CasemateError):
            await gateway.close(_LEFT_SECONDS if vault.lost.done() else DURABLE_SECONDS)
        with contextlib.suppress(CasemateError):
            await state.store.close()
        await asyncio.to_thread(state.close_places)


def main() -> int:
    """Run the gateway; return its exit code."""
    config = msgspec.json.decode(sys.argv[1], type=decodable(GatewayConfig))
    log_as("gateway")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    serving = asyncio.Event()
    opening = _opening(config)
    keep_loaded()
    try:
        confine(config.uid)
        uvloop.run(_serve(config, opening, serving))
    except (OSError, CasemateError) as error:
        report("gateway", str(error))
        return 1 if serving.is_set() else START_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
