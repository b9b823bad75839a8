"""The example that reads an outbox, with a database as its page says."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import asyncpg

from support.cli import casemate
from support.node import TestNode
from support.outside_servers import POSTGRES, Postgres, running

SHARES_NODE = True
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shipping"


def test_a_paid_order_becomes_a_shipment(node: TestNode, tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLE, tmp_path / "shipping")
    with running(Postgres, tmp_path) as server:
        address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "test"]

        def psql(*arguments: str, text: str = "") -> None:
            subprocess.run(
                [POSTGRES / "psql", *address, "-v", "ON_ERROR_STOP=1", *arguments, "shop"],
                input=text,
                text=True,
                check=True,
                capture_output=True,
            )

        subprocess.run([POSTGRES / "createdb", *address, "shop"], check=True)
        psql("-f", str(project / "data" / "shop.sql"))
        psql("-c", "ALTER ROLE outbox_reader PASSWORD 'a-password-of-yours'")
        access = server.folder / "data" / "pg_hba.conf"
        access.write_text("host all outbox_reader all scram-sha-256\n" + access.read_text())
        psql("-c", "SELECT pg_reload_conf()")
        secret = "shipping/outbox-password"
        assert casemate(node, "secrets", "set", secret, stdin="a-password-of-yours").returncode == 0
        manifest = project / "casemate.toml"
        manifest.write_text(manifest.read_text().replace("port = 5432", f"port = {server.port}"))
        node.deploy(project, approve=True)
        order = json.loads((project / "data" / "order.json").read_text())
        for topic, number in (("order.paid", "A-1"), ("order.seen", "A-2"), ("order.paid", "!")):
            psql(
                *("-v", f"topic={topic}", "-v", "order=" + json.dumps({**order, "order": number})),
                text="INSERT INTO outbox (topic, payload) VALUES (:'topic', :'order')",
            )
        shipment = lambda: casemate(node, "tables", "get", "shipping/shipments", "A-1", "--json")  # noqa: E731
        node.wait_until(lambda: shipment().returncode == 0, 20)
        assert json.loads(shipment().stdout)["value"]["parcels"] == 8
        # What the contract refuses is a dead letter, told without its content.
        letters = lambda: casemate(node, "dlq", "ls", "shipping/ship", "--json")  # noqa: E731
        node.wait_until(lambda: "contract" in letters().stdout, 20)
        assert asyncio.run(left(server)) == 0
        assert casemate(node, "tables", "get", "shipping/shipments", "A-2").returncode != 0


async def left(server: Postgres) -> int:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="test", database="shop", ssl=False
    )
    try:
        return int(await connection.fetchval("SELECT count(*) FROM outbox"))
    finally:
        await connection.close()
