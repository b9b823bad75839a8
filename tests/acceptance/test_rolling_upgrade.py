"""Two nodes get the next release one after the other, under load: no call and no event is lost."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster
from support.node import TestNode
from support.rolling import Callers, next_release, replace
from support.s3 import S3Server

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]

KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        return {"kept": event.data["note"]}
    return {"found": table.get(event.data["read"]).value}
"""


def deploy(node: TestNode, source: str) -> None:
    node.deploy(
        source,
        name="notes",
        grants='tables = [{ name = "notes", actions = ["get", "put"] }]',
        resources='[table.notes]\nkey = "id"',
        approve=True,
    )


def versions(node: TestNode) -> list[str]:
    return [one["version"] for one in node.get("/nodes")["nodes"]]


def test_all_of_two_nodes_and_back(tmp_path: Path, postgresql_server: Any) -> None:
    """What ran before is started again, too: the newer schema serves it."""
    with contextlib.ExitStack() as stack:
        objects = stack.enter_context(contextlib.closing(S3Server(tmp_path / "s3")))
        cluster = Cluster(tmp_path, postgresql_server, objects)
        stack.enter_context(contextlib.closing(cluster))
        release = stack.enter_context(next_release())
        one, two = cluster.node("one").start(), cluster.node("two").start()
        deploy(one, KEEPS)
        two.wait_until(lambda: two.invoke({"note": "x"}, function="t/notes").status_code == 200)
        with Callers([one, two]) as callers:
            replace(one, two, release)
            # The older one decides by the newer schema, and keeps it.
            deploy(two, KEEPS + "# again\n")
            replace(two, one, release)
            assert versions(one) == ["99.0.0"] * 2
            replace(one, two, Path(sys.prefix))
        assert callers.wrong == []
        assert sorted(set(versions(one))) != ["99.0.0"]
        assert callers.lost(two) == set()
