"""Real nodes that share a real PostgreSQL and a real S3-compatible store."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from support.database import Server
from support.node import TestNode
from support.s3 import S3Server

KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}


class Cluster:
    """A database and a part of a bucket of its own, and the nodes that have them."""

    def __init__(self, folder: Path, database: Server, objects: S3Server) -> None:
        self.folder = folder
        self.master_key = folder / "master.key"
        # By TCP: a gateway of root's node has a user of its own, which sees no one's socket.
        self.store = f"postgresql://test@127.0.0.1:{database.port}/{database.database()}"
        prefix = secrets.token_hex(4)
        self.objects = f"s3://uploads/{prefix}?endpoint={objects.url.removesuffix('/uploads')}"
        self.nodes: list[TestNode] = []

    def environment(self) -> dict[str, str]:
        """What names the two places."""
        return {**KEYS, "CASEMATE_STORE": self.store, "CASEMATE_OBJECTS": self.objects}

    def node(self, name: str, *arguments: str) -> TestNode:
        """Return a node that is not started yet, with the key of the first one's owner."""
        node = SharingNode(
            self.folder / name,
            *("--encrypted-disks", "--master-key", f"file:{self.master_key}"),
            *arguments,
            environment=self.environment(),
        )
        if self.nodes:
            node.key = self.nodes[0].key
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.close()


class SharingNode(TestNode):
    """A node whose environment names what it shares."""

    __test__ = False

    def __init__(self, data: Path, *arguments: str, environment: dict[str, str]) -> None:
        super().__init__(data, *arguments)
        self._environment = environment

    def start(self) -> TestNode:
        before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            return super().start()
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
