"""Calls of the SDK for AWS in JavaScript: the actions and resources that each needs."""

from __future__ import annotations

from typing import Protocol

from casemate.audit.flow.values import Value
from casemate.audit.model import Place
from casemate.audit.privileges import services
from casemate.audit.privileges.javascript_sdk import (
    NO_CALLS,
    of_package,
    operation_of,
    waited_for,
)
from casemate.audit.privileges.needs import Recorder
from casemate.audit.privileges.operations import (
    PARTS,
    actions_for,
    by_arguments,
    by_statement,
)
from casemate.audit.privileges.reader import Arguments as Given
from casemate.audit.privileges.special import RESOURCES, Actions
from casemate.audit.privileges.values import HOLE, Text

_MAX_NAMES = 24
_MAX_LOST = 1_000


class Arguments(Protocol):
    """What a call is given: see `javascript.Arguments`."""

    def text(self, place: int) -> str | None:
        """Return an argument that is a known text."""
        ...

    def named(self, place: int) -> dict[str, list[str]] | None:
        """Return the properties of an argument as texts; None if they are not all known."""
        ...

    def at(self, place: int, *path: str) -> list[Value]:
        """Return what stands under names within an argument."""
        ...

    def keys(self, value: Value) -> list[str] | None:
        """Return the names of an object's properties, or None."""
        ...

    def items(self, value: Value) -> list[Value] | None:
        """Return the items of an array, or None."""
        ...


class Calls:
    """Tells a recorder what calls of the SDK need."""

    def __init__(self, recorder: Recorder) -> None:
        """Begin with no service seen."""
        self._recorder = recorder
        self._seen: dict[str, bool] = {}
        """Services that the code has clients of; whether also one for documents."""
        self._lost: dict[str, Place] = {}

    def seen(self, service: str, *, documents: bool = False) -> None:
        """Take that a service is used."""
        self._seen[service] = self._seen.get(service, False) or documents

    def lost(self, method: str, place: Place) -> None:
        """Take a call of a method on something that is not known."""
        if len(self._lost) < _MAX_LOST:
            self._lost.setdefault(method, place)

    def methods(self) -> frozenset[str]:
        """Return the methods that are called on what is not known."""
        return frozenset(self._lost)

    # -- version 3 ---------------------------------------------------------------------------------

    def third(self, name: str, given: Arguments, place: Place, *, made: bool) -> None:
        """Take a call of version 3: `@aws-sdk/client-s3.PutObjectCommand`."""
        package, _, rest = name.partition(".")
        package = "/".join(package.split("/")[:2])
        method = rest.rpartition(".")[2].removesuffix("()")
        if package == "@aws-sdk/lib-storage":
            if made and method == "Upload":
                self._needed("s3", "UploadFile", given, 0, place, within="params")
            return
        if package == "@aws-sdk/s3-presigned-post":
            self._needed("s3", "GeneratePresignedPost", given, 1, place)
            return
        documents = package == "@aws-sdk/lib-dynamodb"
        service = "dynamodb" if documents else of_package(package.removeprefix("@aws-sdk/client-"))
        if service is None or not (documents or package.startswith("@aws-sdk/client-")):
            return
        self.seen(service, documents=documents)
        if method.startswith("paginate"):
            operation = operation_of(service, method.removeprefix("paginate"), documents=documents)
            if operation is not None:
                self._needed(service, operation, given, 1, place)
        elif method.startswith(("waitUntil", "waitFor")):
            waiter = method.removeprefix("waitUntil").removeprefix("waitFor")
            operation = waited_for(service, waiter)
            if operation is not None:
                self._needed(service, operation, given, 1, place)
            else:
                self._unknown(service, place, method)
        elif method.endswith("Command") and made:
            command = method.removesuffix("Command")
            operation = operation_of(service, command, documents=documents)
            if operation is not None:
                self._needed(service, operation, given, 0, place)
            else:
                self._unknown(service, place, method)
        elif not made and "()" in rest and _is_operation(method, documents=documents):
            operation = operation_of(service, method, documents=documents)
            if operation is not None and rest.count(".") <= 2:
                self._needed(service, operation, given, 0, place)

    # -- version 2 ---------------------------------------------------------------------------------

    def second(self, name: str, given: Arguments, place: Place, *, made: bool) -> str:
        """Take a call of version 2; return why anything may be needed, or nothing."""
        parts = name.split(".")
        of_file = parts[0].removesuffix("()").partition("/clients/")[2]
        class_ = of_file if of_file not in ("", "all") else parts[1] if len(parts) > 1 else ""
        class_ = class_.removesuffix("()")
        documents = "DocumentClient" in name
        method = parts[-1].removesuffix("()")
        if class_ in ("config", "HttpRequest", "Endpoint", "util", "Config", "Request", "XRay", ""):
            return ""
        if class_ in ("Credentials", "ChainableTemporaryCredentials", "TemporaryCredentials"):
            self._recorder.need("sts:AssumeRole", HOLE, place, sure=False)
            return ""
        if class_ in ("Signers", "CredentialProviderChain", "EC2MetadataCredentials"):
            return "credentials of the role are passed on"
        service = of_package(class_)
        if service is None:
            return f"{class_[:60]} of the SDK is not known" if made else ""
        self.seen(service, documents=documents)
        if made or "()" not in name or method in ("DocumentClient", class_, "promise"):
            return ""
        if method in ("getSignedUrl", "getSignedUrlPromise", "makeRequest"):
            wanted = given.text(0)
            operation = operation_of(service, wanted) if wanted is not None else None
            if operation is None:
                self._unknown(service, place, method)
            else:
                self._needed(service, operation, given, 1, place)
            return ""
        if method == "createPresignedPost":
            self._needed(service, "GeneratePresignedPost", given, 0, place)
        elif method == "waitFor":
            waiter = given.text(0)
            operation = waited_for(service, waiter) if waiter is not None else None
            if operation is None:
                self._unknown(service, place, method)
            else:
                self._needed(service, operation, given, 1, place)
        elif _is_operation(method, documents=documents):
            operation = operation_of(service, method, documents=documents)
            # A result of a call has methods of its own: `s3.getObject().promise`
            if operation is not None and name.count("(") <= (1 if not documents else 2):
                self._needed(service, operation, given, 0, place)
        return ""

    # -- what both have in common ------------------------------------------------------------------

    def _unknown(self, service: str, place: Place, method: str) -> None:
        found = services.service(service)
        if found is not None:
            self._recorder.open(found.prefix, place, f"{method[:60]} is not known")

    def _needed(
        self, service: str, operation: str, given: Arguments, at: int, place: Place,
        within: str = "",
    ) -> None:  # fmt: skip
        found = services.service(service)
        if found is None:
            return
        actions = actions_for(found.prefix, service, operation)
        if actions is None:
            what = f"which rights {operation} needs is not known"
            self._recorder.open(found.prefix, place, what)
            return
        path = (within,) if within else ()
        named = _named(given, at, path)
        arguments = Given(
            named={
                key: frozenset(Text(t) for t in texts or [HOLE]) for key, texts in named.items()
            },
            open=not _is_known(given, at, path),
        )
        if operation == "TransactWriteItems":
            actions = _transaction(given, at, actions)
        if operation in ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"):
            actions = by_statement(arguments, actions)
        actions = by_arguments(found.prefix, operation, arguments, actions)
        names = _resources(found.prefix, operation, given, at, named)
        copies = operation in ("CopyObject", "UploadPartCopy")
        for name in names[:_MAX_NAMES]:
            for action in actions.needed:
                foreign = not action.startswith(f"{found.prefix}:")
                where = HOLE if foreign or (copies and action == "s3:GetObject") else name
                self._recorder.need(action, where, place)
            for action in actions.perhaps:
                self._recorder.need(action, HOLE, place, sure=False)

    def perhaps(self, name: str, place: Place) -> None:
        """Take a call that was not read."""
        plain = name.removesuffix("Command").removeprefix("paginate").removeprefix("waitUntil")
        if plain:
            self.lost(plain, place)

    def end(self) -> None:
        """Tell of methods that are called on what is not known, of services that are used."""
        for method, place in self._lost.items():
            self._recorder.lost(method, place)
            for service, documents in self._seen.items():
                found = services.service(service)
                operation = operation_of(service, method, documents=documents)
                operation = operation or waited_for(service, method)
                if found is None or operation is None:
                    continue
                actions = actions_for(found.prefix, service, operation)
                for action in (*actions.needed, *actions.perhaps) if actions is not None else ():
                    self._recorder.need(action, HOLE, place, sure=False)


def _named(given: Arguments, at: int, path: tuple[str, ...]) -> dict[str, list[str]]:
    if not path:
        return given.named(at) or {}
    # `new Upload({ params: { Bucket } })`
    found: dict[str, list[str]] = {}
    for value in given.at(at, *path):
        for key in given.keys(value) or ():
            found.setdefault(key, [HOLE])
    return found


def _is_known(given: Arguments, at: int, path: tuple[str, ...]) -> bool:
    """Tell whether the names of all properties of an argument are known."""
    if not path:
        named = given.named(at)
        return named is not None and "" not in named
    held = given.at(at, *path)
    return bool(held) and all(given.keys(each) is not None for each in held)


def _resources(
    prefix: str, operation: str, given: Arguments, at: int, named: dict[str, list[str]]
) -> list[str]:
    """Return the names of resources that arguments have; `HOLE` where they are not known."""
    arguments, _ = RESOURCES.get(prefix, ((), ""))
    found = [text for each in arguments for text in named.get(each, [])]
    if not found and "RequestItems" in named:
        for value in given.at(at, "RequestItems"):
            found += given.keys(value) or [HOLE]
    if not found and "TransactItems" in named:
        found.append(HOLE)
    return sorted(set(found)) or [HOLE]


def _transaction(given: Arguments, at: int, actions: Actions) -> Actions:
    """Return what the parts of a transaction need, where the code says which these are."""
    found: set[str] = set()
    for whole in given.at(at, "TransactItems"):
        items = given.items(whole)
        if items is None:
            return actions
        for item in items:
            keys = given.keys(item)
            if keys is None:
                return actions
            found |= {PARTS[key] for key in keys if key in PARTS}
    return Actions(tuple(sorted(found))) if found else actions


def _is_operation(method: str, *, documents: bool) -> bool:
    return method not in NO_CALLS or (documents and method == "update")
