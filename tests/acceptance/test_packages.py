"""What packages do on a real node: shown, denied by the manifest, and on record."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
import msgspec
import pytest

from casemate.advisories import place_of_node
from casemate.model.bundle import BundleFile, LockedPackage
from support.advisories import import_small
from support.bundles import Bundle, deploy, make_bundle, publish, upload
from support.node import TestNode

pytestmark = pytest.mark.sandbox
SHARES_NODE = True
PROJECT = "packed"

APP = """
import client

def own():
    open("/tmp/own", "w").close()
    return "done"

def handler(event, context):
    do = event["do"]
    if do == "own":
        return client.back(own)
    if do == "secret":
        return client.read(context)
    try:
        return client.write()
    except PermissionError as error:
        return type(error).__module__ + "." + type(error).__name__ + str(error)
"""
FILES = {
    "client/__init__.py": b"""
import wire

def write():
    return wire.write()

def back(call):
    return call()

def read(context):
    return context.secret("key")
""",
    "wire.py": b"""
def write():
    with open("/tmp/x", "w") as file:
        file.write("x")
    return "written"
""",
}
DENIED = '[function.f.packages."*"]\ndeny = ["secret"]\n[function.f.packages.wire]\n{}\n'


def bundle(denied: str = "") -> Bundle:
    made = make_bundle(APP, project=PROJECT, routes=denied)
    files = {f"deps/{path}": data for path, data in FILES.items()}
    for name, path in (("client", "client/__init__.py"), ("wire", "wire.py")):
        info = f"deps/{name}-1.0.dist-info"
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        files[f"{info}/RECORD"] = f"{path},,\n{name}-1.0.dist-info/METADATA,,\n".encode()
    listed = [
        BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in files.items()
    ]
    every = sorted((*made.manifest.files, *listed), key=lambda file: file.path)
    packages = tuple(LockedPackage(name=name, version="1.0") for name in ("client", "wire"))
    manifest = msgspec.structs.replace(made.manifest, files=tuple(every), packages=packages)
    return Bundle(manifest, made.files | files)


@pytest.fixture(scope="module")
def node(node: TestNode) -> TestNode:
    place = place_of_node(node.data)
    if not place.database.exists():
        import_small(place)
    return node


def call(node: TestNode, do: str) -> httpx2.Response:
    return node.invoke({"do": do}, function=f"{PROJECT}/f")


def shown(node: TestNode) -> dict[tuple[str, str], int]:
    found: Any = node.get(f"/functions/{PROJECT}/f/grants")
    return {(use["package"], use["act"]): use["count"] for use in found["packages"]}


def test_what_packages_do_is_shown_and_what_they_are_denied_is_on_record(node: TestNode) -> None:
    publish(node, bundle())
    for do, times in (("own", 1), ("write", 3)):
        for _ in range(times):
            assert call(node, do).status_code == 200
    assert call(node, "secret").status_code == 500, "it is not granted"
    assert shown(node) == {("client", "file"): 3, ("wire", "file"): 3, ("client", "secret"): 1}

    publish(node, bundle(DENIED.format('deny = ["file"]')))
    assert call(node, "own").json() == "done"
    answer = call(node, "write")
    assert answer.json().startswith("casemate.PackageDeniedError[Errno 13] the package wire")
    [denial] = node.get("/denials", invocation=answer.headers["x-request-id"])["denials"]
    assert (denial["kind"], denial["action"]) == ("package", "package:file")
    assert (denial["resource"], denial["principal"]) == ("package:wire", f"function:{PROJECT}/f")
    assert denial["reason"] == (
        "[function.f.packages.wire] of the manifest denies file: open, from app.py:15"
    )
    failed = call(node, "secret")
    assert node.error(failed)["type"] == "casemate.PackageDeniedError"
    assert node.outcome(failed) == "handler-error"
    assert shown(node) == {}
    denied = node.get(f"/functions/{PROJECT}/f/grants")["denials"]
    assert {"package:file", "package:secret"} <= {each["action"] for each in denied}


def test_a_package_that_is_not_there_is_refused_at_deploy(node: TestNode) -> None:
    wrong = bundle(DENIED.format('deny = ["file"]').replace("packages.wire", "packages.wires"))
    assert upload(node, wrong.digest, wrong.archive()).status_code in (200, 201)
    refused = deploy(node, wrong)
    assert refused.status_code == 422
    assert 'did you mean "wire"' in refused.json()["detail"]
