"""The node that drills attack, as the command line reaches it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from casemate.cli.building import Workspace
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.deployed import deployed_functions
from casemate.cli.deployment import Wanted, deploy
from casemate.cli.errors import MissingError
from casemate.drills import PROJECT
from casemate.model.errors import NotFoundError
from casemate.operations.declaration import Operation

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

T = TypeVar("T")


class DrillNode:
    """Satisfies `casemate.drills.node.Node`. The project is built in a folder of its own."""

    def __init__(self, credentials: Credentials, folder: Path) -> None:
        """Reach the node that these credentials are of; build in `folder`, which is empty."""
        self._client = NodeClient(credentials)
        self._stranger = NodeClient(Credentials(url=credentials.url, ca=credentials.ca))
        self._project = folder / "project"
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

    def _deploy(self, names: list[str]) -> None:
        workspace = Workspace(self._project / _MANIFEST, names)
        before = deployed_functions(self._client)
        wanted = []
        for built in workspace.build(None, relock=False):
            name = workspace.name_of(built.manifest.function)
            wanted.append(Wanted(name, built, before.get(name)))
        deploy(self._client, wanted, force=False, approve=True)


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is gone with its block."""
    return tempfile.TemporaryDirectory(prefix="casemate-drill-")
