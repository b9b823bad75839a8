"""A deploy has the project's data forget nothing that nobody has approved, nor if it fails."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx2
import msgspec
import pytest

from casemate.admission.grants import describe
from casemate.manifest import load
from casemate.model.function import named_resources
from casemate.operations.functions import Foreseen, PlannedFunction
from support.attempts.others import Somebody, owner
from support.built_bundles import packed
from support.node import TestNode
from support.signing import attest

SHARES_NODE = True
APP = """
def handler(event, context):
    for number in range(3):
        context.table("keep").put({"id": f"x{number}", "made": 1700000000})
        context.queue("keep").send({"x": number})
        context.bucket("keep").put("x", b"text")
"""
FAILS = "raise RuntimeError('no')\n\n\ndef handler(event, context):\n    pass\n"
GRANTS = """
queues = ["keep"]
tables = [{ name = "keep", actions = ["put"] }]
buckets = [{ name = "keep", actions = ["write"] }]
"""
RESOURCES = """
[table.keep]
key = "id"
{table}
[queue.keep]
{queue}
[bucket.keep]
versions = {versions}
"""
WAYS = {
    "by an attribute": ({"table": 'ttl = "made"'}, "table keep: forget items by their made"),
    "messages": ({"queue": 'retention = "1m"'}, "queue keep: forget messages after 60 s"),
    "revisions": ({"versions": "1"}, "bucket keep: forget all but 1 revisions of objects"),
}


def declared(**changes: str) -> str:
    return RESOURCES.format(**({"table": "", "queue": "", "versions": "5"} | changes))


def there(node: TestNode, project: str) -> list[int]:
    """Return how many items, messages and revisions there are."""
    own = owner(node)
    return [
        len(own.ask("POST", f"/tables/{project}/keep/query", {}).json()["items"]),
        own.ask("GET", f"/queues/{project}/keep").json()["waiting"],
        len(own.ask("GET", f"/buckets/{project}/keep/revisions?key=x").json()["revisions"]),
    ]


def filled(node: TestNode, project: str) -> Somebody:
    """Return who may deploy a function of the project, whose data holds something."""
    node.deploy(APP, project=project, grants=GRANTS, resources=declared(), approve=True)
    assert node.invoke({}, function=f"{project}/f").status_code == 200
    assert there(node, project) == [3, 3, 3]
    return owner(node).made(f"developer@{project}/f", f"developer@{project}/g")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_to_be_forgotten_is_approved(node: TestNode, way: str) -> None:
    changes, told = WAYS[way]
    project = f"forgets-{list(WAYS).index(way)}"
    developer = filled(node, project)
    resources = declared(**changes)
    refused = developer.deploys(APP, project=project, grants=GRANTS, resources=resources)
    assert told in refused, refused
    # The client is told before it builds, and names it beside the grants that it asks about.
    assert told in str(planned(node, project, resources)), "asked before a build"
    assert there(node, project) == [3, 3, 3]
    # Who may approve has it done, and that is on record.
    node.deploy(APP, project=project, grants=GRANTS, resources=resources, approve=True)
    approvals = node.get(f"/functions/{project}/f/grants")["approvals"]
    assert told.split(": ")[1] in str(approvals[0]["added"])
    assert approvals[0]["version"] == 2
    if way == "by an attribute":
        node.wait_until(lambda: there(node, project)[0] == 0, 20)
    if way == "revisions":
        assert there(node, project)[2] == 1
    # As it is declared now, and with more kept again, nobody needs to be asked.
    developer.node.deploy(APP, project=project, grants=GRANTS, resources=resources)
    developer.node.deploy(APP, project=project, grants=GRANTS, resources=declared())


def test_of_what_holds_nothing_nobody_is_asked(node: TestNode) -> None:
    node.deploy(APP, project="forgets-e", grants=GRANTS, resources=declared(), approve=True)
    developer = owner(node).made("developer@forgets-e/f")
    resources = declared(table='ttl = "made"', queue='retention = "1m"', versions="1")
    developer.node.deploy(APP, project="forgets-e", grants=GRANTS, resources=resources)
    tables = node.get("/tables/forgets-e")["tables"]
    assert tables[0]["ttl"] == "made"


def test_a_deploy_that_fails_has_nothing_forgotten(node: TestNode) -> None:
    """Approved or not: the second function does not start, and neither is deployed."""
    filled(node, "forgets-f")
    answer = both(node, "forgets-f", declared(table='ttl = "made"', versions="1"))
    assert answer.status_code == 422, answer.text
    assert there(node, "forgets-f") == [3, 3, 3]


def planned(node: TestNode, project: str, resources: str) -> list[str]:
    """Return what a deploy would have forgotten, as the node tells it of a manifest."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "casemate.toml"
        (Path(folder) / "app.py").write_text(APP)
        manifest.write_text(
            f'[project]\nname = "{project}"\n[function.f]\nhandler = "app:handler"\n'
            f"[function.f.grants]\n{GRANTS}\n{resources}"
        )
        loaded = load(manifest)
    spec = loaded.functions[0]
    one = PlannedFunction(
        project=project, spec=spec, resources=loaded.resources.granted(named_resources(spec))
    )
    asked = {
        "functions": [{"project": project, "function": "f"}],
        "planned": [msgspec.to_builtins(one)],
    }
    answer = node.client.post(f"{node.url}/api/v1/deployments/check", json=asked)
    found = msgspec.json.decode(answer.content, type=Foreseen)
    assert all(each.function == f"{project}/f" for each in found.forgets)
    return [describe(grant) for each in found.forgets for grant in each.grants]


def both(node: TestNode, project: str, resources: str) -> httpx2.Response:
    """Deploy two functions together, of which the second does not start."""
    functions = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "app.py").write_text(APP)
        (root / "fails.py").write_text(FAILS)
        (root / "casemate.toml").write_text(
            f'[project]\nname = "{project}"\n[function.f]\nhandler = "app:handler"\n'
            f'[function.f.grants]\n{GRANTS}\n[function.g]\nhandler = "fails:handler"\n{resources}'
        )
        loaded = load(root / "casemate.toml")
        for spec in loaded.functions:
            built = packed(root, loaded, spec)
            node.client.put(
                f"{node.url}/api/v1/bundles/{built.digest}",
                content=built.archive,
                headers={"content-type": "application/gzip"},
            )
            attest(node.client, node.url, built.manifest, built.sbom)
            functions.append({"project": project, "function": spec.name, "digest": built.digest})
    wanted = {"functions": functions, "approve": True}
    return node.client.post(f"{node.url}/api/v1/deployments", json=wanted)
