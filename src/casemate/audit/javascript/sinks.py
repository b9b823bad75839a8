"""Which calls are sinks, by their dotted names."""

from __future__ import annotations

from typing import NamedTuple

from casemate.audit.flow.state import Mapping, State
from casemate.audit.flow.values import Taints, Value
from casemate.audit.javascript.sink_table import (
    HTTP_CLIENTS,
    MONGO_PACKAGES,
    ROWS,
    SQL_PACKAGES,
)
from casemate.audit.javascript.values import UNDEFINED, thing_of


class Sink(NamedTuple):
    """One place of one call."""

    weakness: str
    places: tuple[str, ...]
    confidence: str = "high"


_TABLE: dict[str, dict[str, list[Sink]]] = {}
for _weakness, _packages, _methods, _places, _confidence in ROWS:
    for _package in _packages.split():
        for _method in _methods.split():
            _TABLE.setdefault(_package, {}).setdefault(_method.strip("="), []).append(
                Sink(_weakness, tuple(_places.split()), _confidence)
            )
_OF_RESULTS = frozenset(("get", "all", "run", "each", "stream", "sql", "result"))
"""Methods of databases that are also those of a prepared statement, which take parameters."""

V2_SERVICES = {
    "DynamoDB": "@aws-sdk/client-dynamodb",
    "RDSDataService": "@aws-sdk/client-rds-data",
    "RedshiftData": "@aws-sdk/client-redshift-data",
    "Athena": "@aws-sdk/client-athena",
    "S3": "@aws-sdk/client-s3",
}


def split(name: str) -> tuple[str, str]:
    """Return package and method of a dotted name: `mysql2/promise.createPool().query`."""
    package, _, rest = name.partition(".") if not name.startswith(".") else ("", "", name)
    package = package.partition("(")[0]
    parts = package.split("/")
    package = "/".join(parts[:2]) if package.startswith("@") else parts[0]
    method = rest.rpartition(".")[2].removesuffix("()") if rest else ""
    return package, method


def of(name: str) -> list[Sink]:
    """Return the sinks of a call, by its dotted name."""
    if name.startswith(("globalThis.", "global.", "window.")):
        name = name.partition(".")[2]
    package, method = split(name)
    if package == "aws-sdk" or package.startswith("aws-sdk"):
        service = name.split(".")[1].removesuffix("()") if name.count(".") else ""
        return _TABLE.get(V2_SERVICES.get(service, ""), {}).get(method, [])
    of_package = _TABLE.get(package)
    if of_package is None:
        # `lodash.merge` is a package of its own
        whole = _TABLE.get(name)
        return whole.get("", []) if whole is not None else []
    found = of_package.get(method, [])
    if found and method in _OF_RESULTS and (".prepare()" in name or ".query()" in name):
        return []
    return found


IS_DATABASE = frozenset((*SQL_PACKAGES.split(), *MONGO_PACKAGES.split()))
IS_CLIENT = frozenset((*HTTP_CLIENTS.split(), "fetch", "http", "https"))


def placed(taints: Taints, given: list[Value], state: State) -> bool:
    """Return whether data in an expression of DynamoDB names place holders given with it.

    It takes letters, digits and `_` alone in their names: such data brings no more of it.
    """
    options_ = thing_of(given[0], state) if given else None
    if not isinstance(options_, Mapping):
        return False
    forms = set[int]()
    for label in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        thing = thing_of(options_.known.get(label, UNDEFINED), state)
        if isinstance(thing, Mapping):
            forms.update(taint.forms[0] for taint in thing.keys)
    return all(taint.forms[0] in forms for taint in taints)
