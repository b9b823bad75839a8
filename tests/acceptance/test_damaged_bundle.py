"""A bundle that was damaged on the disk is a failure for good, told by name, until it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import Bundle, make_bundle, publish, upload
from support.node import TestNode


@pytest.fixture
def bundle() -> Bundle:
    return make_bundle(
        "def handler(event, context):\n    return 1\n",
        routes="[function.f.delivery]\nattempts = 1\n",
    )


@pytest.fixture
def damaged_node(tmp_path: Path, bundle: Bundle) -> Iterator[TestNode]:
    """A node whose only bundle was changed while it was stopped."""
    node = TestNode(tmp_path / "data").start()
    publish(node, bundle)
    node.stop()
    file = tmp_path / "data" / "bundles" / f"{bundle.digest}.sealed"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    node.start()
    yield node
    node.close()


def test_a_damaged_bundle_is_told_and_can_be_deployed_again(damaged_node, bundle) -> None:
    node = damaged_node
    answer = node.invoke({})
    assert answer.status_code == 500, str(node.error(answer))
    assert "retry-after" not in answer.headers
    error = node.error(answer)
    assert error["type"] == "BundleDamaged"
    assert f"The bundle {bundle.digest} on this node is damaged" in error["message"]
    assert "Deploy it again" in error["message"]
    assert node.errors.read_text().count("on this node is damaged") >= 1

    def unwell() -> dict[str, str]:
        parts = node.get("/node/health")["parts"]
        return {part["name"]: part["detail"] for part in parts if not part["ok"]}

    # Others may have been started a moment ago.
    node.wait_until(lambda: list(unwell()) == ["bundles"], 20)
    assert bundle.digest in unwell()["bundles"]
    assert node.get("/health")["status"] == "not ok"
    assert node.get("/ready") == {"ready": True}

    kept = node.invoke({}, headers={"prefer": "respond-async"})
    assert kept.status_code == 202, kept.text
    identity = kept.json()["id"]
    node.wait_until(
        lambda: node.get(f"/functions/t/f/invocations/{identity}")["state"] == "failed", 20
    )

    uploaded = upload(node, bundle.digest, bundle.archive())
    assert uploaded.status_code == 201, uploaded.text
    node.wait_until(lambda: node.invoke({}).status_code == 200, 15)
    node.wait_until(lambda: node.get("/health")["status"] == "ok", 20)
