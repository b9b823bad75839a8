"""What the SDK for Python can call: services, their operations, paginators, waiters, resources.

Read out of the files of boto3 and botocore, service by service, when it is asked for. The names of
methods are compared without underscores and case: `list_objects_v2` is `ListObjectsV2`.
"""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from casemate.audit.importers.aws.data import package_folder

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_MAX_BYTES = 32 << 20

PREFIXES = {
    "apigatewaymanagementapi": "execute-api",
    "cloudcontrol": "cloudformation",
    "cloudwatch": "cloudwatch",
    "iot-data": "iot",
    "iot-jobs-data": "iot",
    "resourcegroupstaggingapi": "tag",
    "sso": "sso",
    "account": "account",
    "mturk": "mechanicalturk",
}
"""What stands before the colon in actions, where the SDK's own name for signing is another."""


class Service(msgspec.Struct, frozen=True):
    """One service, as the SDK knows it."""

    name: str
    prefix: str
    operations: dict[str, str]
    """By their names without underscores and case."""
    verbs: dict[str, str]
    """The method of HTTP that each operation has; of those whose actions are called so."""
    waiters: dict[str, str]
    """The operation that each calls."""
    resources: dict[str, Any]
    """As boto3 describes them; empty if it has none."""

    def operation(self, method: str) -> str | None:
        """Return the operation that a method calls."""
        return self.operations.get(plain(method))


def verb(name: str, operation: str) -> str:
    """Return the method of HTTP of an operation."""
    found = service(name)
    return found.verbs.get(operation, "") if found is not None else ""


def plain(name: str) -> str:
    """Return a name as it is compared."""
    return name.replace("_", "").lower()


@cache
def service(name: str) -> Service | None:
    """Return a service, or None if the SDK has none of that name."""
    if not _NAME.fullmatch(name):
        return None
    folder = _newest(package_folder("botocore") / "data" / name)
    if folder is None:
        return None
    described = _read(folder / "service-2.json.gz") or _read(folder / "service-2.json")
    if described is None:
        return None
    metadata = described["metadata"]
    prefix = PREFIXES.get(name) or metadata.get("signingName") or metadata["endpointPrefix"]
    waiters = _read(folder / "waiters-2.json") or _read(folder / "waiters-2.json.gz") or {}
    return Service(
        name=name,
        prefix=prefix.lower(),
        operations={each.lower(): each for each in described["operations"]},
        verbs={
            each: found.get("http", {}).get("method", "")
            for each, found in described["operations"].items()
        }
        if prefix == "apigateway"
        else {},
        waiters={
            plain(each): found["operation"] for each, found in waiters.get("waiters", {}).items()
        },
        resources=_resources(name),
    )


def _resources(name: str) -> dict[str, Any]:
    folder = _newest(package_folder("boto3") / "data" / name)
    return (_read(folder / "resources-1.json") if folder is not None else None) or {}


def _newest(folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    return max((each for each in folder.iterdir() if each.is_dir()), default=None)


def _read(path: Path) -> Any:
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def resource(name: str, type: str) -> dict[str, Any]:
    """Return how boto3 describes a type of a service's resources; the service itself without."""
    found = service(name)
    if found is None:
        return {}
    described = found.resources
    if not type:
        return dict(described.get("service", {}))
    return dict(described.get("resources", {}).get(type, {}))


def types(name: str) -> frozenset[str]:
    """Return the types of a service's resources: the service can make each of them."""
    found = service(name)
    return frozenset(found.resources.get("resources", {})) if found is not None else frozenset()


def member(described: dict[str, Any], section: str, name: str) -> tuple[str, Any] | None:
    """Return an action, a part or a collection of a resource by its name in Python."""
    wanted = plain(name)
    for key, each in described.get(section, {}).items():
        if key.lower() == wanted:
            return key, each
    return None
