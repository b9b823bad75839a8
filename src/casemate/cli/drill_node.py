"""The node that drills attack, as the command line reaches it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from casemate.cli.authority import client_context
from casemate.cli.building import Workspace
from casemate.cli.client import NodeClient
from casemate.cli.commands.secrets import vault_public_key
from casemate.cli.credentials import Credentials
from casemate.cli.deployed import deployed_functions
from casemate.cli.deployment import Wanted, deploy
from casemate.cli.errors import CommandError, MissingError
from casemate.cli.grant_report import ApprovalNeededError
from casemate.drills import PROJECT
from casemate.drills.node import OPENED, WIDER
from casemate.model.errors import NotFoundError
from casemate.operations.declaration import BINARY, Operation
from casemate.operations.secrets import PutSecret
from casemate.vault.sealed import seal_value

_HONEST, _POISONED = 'return {"ok": True}', 'return {"poisoned": 1}'
_MANIFEST, _CARELESS = "casemate.toml", "careless.py"

_ATTACKER = """
[function.{name}]
handler = "attacker:handler"

[[function.{name}.guard]]
sink = "*"
location = "*"
reason = "it does what its caller says, to try the sandbox and not the guard"
"""
"""A function of whose name no rule of detection has told within the hour."""

_WIDER = """
[function.{name}]
handler = "holder:handler"

[function.{opened}]
handler = "careless:handler"
contract = "strict.json"
"""
_WIDER_GRANTS = """public = true

[[function.{name}.schedule]]
every = "8784h"

[[function.{name}.result]]
function = "{opened}"
on = ["failure"]

[function.{name}.grants]
egress = [
    {{ host = "*.drill.example", port = 443, exception = "a drill has it approved" }},
    {{ host = "mx.drill.example", port = 587 }},
]
"""
_RAW_SECONDS = 2.0

T = TypeVar("T")


class DrillNode:
    """Satisfies `casemate.drills.node.Node`. The project is built in a folder of its own."""

    def __init__(self, credentials: Credentials, folder: Path) -> None:
        """Reach the node that these credentials are of; build in `folder`, which is empty."""
        self._client = NodeClient(credentials)
        self._stranger = NodeClient(Credentials(url=credentials.url, ca=credentials.ca))
        self._project = folder / "project"
        self._wider = False
        shutil.copytree(PROJECT, self._project, ignore=shutil.ignore_patterns("__pycache__"))

    def __enter__(self) -> DrillNode:
        """Return it; leaving closes its connections."""
        return self

    def __exit__(self, *failure: Any) -> None:
        """Close the connections."""
        self._client.__exit__(*failure)
        self._stranger.__exit__(*failure)

    def call(self, operation: Operation[T]) -> T:
        """Have it do an operation. Raises CasemateError."""
        try:
            return self._client.call(operation)
        except MissingError as error:
            raise NotFoundError(error.message, next_step=error.next_step) from error

    def exchange(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Ask it with the own token."""
        return self._client.exchange(method, path, **rest)

    def as_stranger(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Ask it without one."""
        return self._stranger.exchange(method, path, **rest)

    def deploy(self, poisoned: bool = False) -> None:
        """Deploy the project that is attacked; `poisoned` with another version of `careless`."""
        names: list[str] = []
        if poisoned:
            names = ["careless"]
            path = self._project / _CARELESS
            path.write_text(path.read_text("utf-8").replace(_HONEST, _POISONED), "utf-8")
        self._deploy(names)

    def deploy_attacker(self, name: str) -> None:
        """Deploy one more function of it with the attacker's code."""
        path = self._project / _MANIFEST
        path.write_text(path.read_text("utf-8") + _ATTACKER.format(name=name), "utf-8")
        self._deploy([name])

    def deploy_wider(self, *, approve: bool) -> None:
        """Deploy functions, and then versions that want more; a refusal is no error."""
        path = self._project / _MANIFEST
        if not self._wider:
            before = path.read_text("utf-8") + _WIDER.format(name=WIDER, opened=OPENED)
            path.write_text(before, "utf-8")
            self._deploy([WIDER, OPENED])
            path.write_text(before + _WIDER_GRANTS.format(name=WIDER, opened=OPENED), "utf-8")
            self._wider = True
        with suppress(ApprovalNeededError):
            self._deploy([WIDER, OPENED], approve=approve)

    def now(self) -> float:
        """Return what its clock says, as its answers tell it."""
        told = str(self.exchange("GET", "/api/v1/whoami").headers.get("date", ""))
        try:
            return parsedate_to_datetime(told).timestamp()
        except ValueError as error:
            raise CommandError(
                f"The node tells no time that can be read: {told[:64]!r}.",
                next_step="Look whether something between here and the node changes its answers.",
            ) from error

    def send_raw(self, data: bytes) -> None:
        """Send bytes over a connection of their own; what comes of it is not looked at."""
        url = httpx2.URL(self._client.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        with (
            suppress(OSError),
            socket.create_connection((url.host, port), timeout=_RAW_SECONDS) as sock,
            contextlib.ExitStack() as wrapped,
        ):
            asking: socket.socket = sock
            if url.scheme == "https":
                ca = self._client.credentials.ca
                context = client_context(ca) if ca else ssl.create_default_context()
                asking = wrapped.enter_context(context.wrap_socket(sock, server_hostname=url.host))
            asking.sendall(data)
            asking.recv(1024)

    def put_secret(self, project: str, name: str, value: bytes) -> None:
        """Set a secret."""
        sealed = seal_value(vault_public_key(self._client, None), project, name, value)
        wanted = PutSecret(project=project, name=name)
        self._client.call(wanted, content=sealed, headers={"content-type": BINARY})

    def _deploy(self, names: list[str], *, approve: bool = True) -> None:
        workspace = Workspace(self._project / _MANIFEST, names)
        before = deployed_functions(self._client)
        wanted = []
        for built in workspace.build(None, relock=False):
            name = workspace.name_of(built.manifest.function)
            wanted.append(Wanted(name, built, before.get(name)))
        deploy(self._client, wanted, force=False, approve=approve)


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is gone with its block."""
    return tempfile.TemporaryDirectory(prefix="casemate-drill-")
