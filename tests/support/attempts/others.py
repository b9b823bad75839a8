"""Who attacks: somebody with a token of their own, who sends what no command line of ours would."""

from __future__ import annotations

import base64
import copy
import itertools
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from casemate.manifest import load
from casemate.vault.sealed import seal_value
from support.node import MANIFEST, TestNode

_NUMBERS = itertools.count()


class Somebody:
    """Somebody with a token. `deploy` and `publish` are those of a node, with that token."""

    def __init__(self, node: TestNode, key: str | None, token: str = "") -> None:
        self.node = copy.copy(node)
        # Kept, for what is asked of the owner by way of somebody's node.
        self.node.owner_key = node.owner_key or node.key
        self.token = token
        self.node.key = key or ""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self.node.client = httpx2.Client(timeout=60, headers=headers)

    def ask(self, method: str, path: str, body: Any = None, **rest: Any) -> httpx2.Response:
        return self.node.client.request(
            method,
            f"{self.node.url}/api/v1{path}",
            **({"json": body} if body is not None else {}),
            **rest,
        )

    def made(self, *roles: str, minutes: int = 60) -> Somebody:
        """Have a token made with the own one."""
        body = {"name": f"a{next(_NUMBERS)}", "roles": list(roles), "minutes": minutes}
        answer = self.ask("POST", "/tokens", body)
        assert answer.status_code == 201, answer.text
        return Somebody(self.node, answer.json()["text"], answer.json()["token"]["id"])

    def keeps(self, project: str, name: str, value: bytes) -> None:
        """Set a secret."""
        public = base64.b64decode(self.ask("GET", "/vault/key").json()["public_key"])
        answer = self.ask(
            "PUT",
            f"/secrets/{project}/{name}",
            content=seal_value(public, project, name, value),
            headers={"content-type": "application/octet-stream"},
        )
        assert answer.status_code == 201, answer.text

    def works(self) -> bool:
        return self.ask("GET", "/whoami").status_code == 200

    def deploys(self, source: str, **rest: Any) -> str:
        """Deploy; return how that was refused, or nothing."""
        try:
            self.node.deploy(source, **rest)
        except Exception as error:  # whatever refuses: the manifest, the build, the node
            return f"{type(error).__name__}: {error}"[:200] or "refused"
        return ""

    def forges(self, source: str, project: str, name: str, **changes: Any) -> str:
        """Deploy a function whose manifest nobody has checked; return how that was refused."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "app.py").write_text(source)
            text = MANIFEST.format(
                project=project,
                name=name,
                handler="app:handler",
                settings="public = true",
                limits="",
                routes="",
            )
            (root / "casemate.toml").write_text(text)
            loaded = load(root / "casemate.toml")
            spec = msgspec.structs.replace(loaded.functions[0], **changes)
            try:
                self.node.publish(root, loaded, spec, approve=False)
            except Exception as error:
                return f"{type(error).__name__}: {error}"[:200] or "refused"
        return ""


def owner(node: TestNode) -> Somebody:
    """Return who owns the node."""
    return Somebody(node, node.owner_key or node.key)


def nobody(node: TestNode) -> Somebody:
    """Return somebody without a token."""
    return Somebody(node, None)
