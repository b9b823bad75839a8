"""Builds every object of a gateway once, in the order in which they depend on each other."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import traceback

from casemate.admission import Admission, Catalogue, Keyring
from casemate.api import create_app
from casemate.dispatch import Dispatcher
from casemate.invocation import Pipeline
from casemate.node.bundles import BundleFolder
from casemate.node.control import NodeControl
from casemate.node.options import Folders, GatewayConfig
from casemate.sandbox.client import SandboxClient
from casemate.seal import Seal
from casemate.store.interface import Store
from casemate.triggers.http import HttpTrigger
from casemate.triggers.http_server import HttpServer, asgi_handler

_logger = logging.getLogger(__name__)


class Gateway:
    """All objects of a gateway process."""

    def __init__(
        self,
        config: GatewayConfig,
        folders: Folders,
        store: Store,
        supervisor: socket.socket,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Build; nothing is served before the server is started."""
        self.store = store
        self.client = SandboxClient(supervisor, loop)
        self.catalogue = Catalogue()
        self.keyring = Keyring()
        self.seal = Seal(store)
        self.dispatcher = Dispatcher(self.client)
        self.pipeline = Pipeline(
            Admission(self.catalogue, self.keyring), self.dispatcher, self.seal
        )
        self.control = NodeControl(
            config=config,
            store=store,
            catalogue=self.catalogue,
            keyring=self.keyring,
            dispatcher=self.dispatcher,
            client=self.client,
            bundles=BundleFolder(folders.bundles),
        )
        api = asgi_handler(create_app(self.control, spool=folders.spool))
        self.trigger = HttpTrigger(
            self.catalogue, self.keyring, self.seal, self.pipeline.invoke, api
        )
        self.server = HttpServer(
            self.trigger.handle, self.trigger.body_limit, on_error=report_fault
        )


def report_fault(error: BaseException) -> str:
    """Log a fault of ours in full and return the id by which a caller can name it."""
    error_id = "err_" + secrets.token_hex(12)
    trace = "".join(traceback.format_exception(error))
    _logger.error("%s %s", error_id, trace)
    return error_id
