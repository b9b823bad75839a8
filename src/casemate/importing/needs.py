"""What a function's code needs: resources of AWS, variables, secrets, hosts. Read, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from casemate.audit.model import Place
from casemate.importing.aws_calls import (
    CALLS,
    CONNECTIONS,
    HTTP_METHODS,
    HTTP_MODULES,
    OF_OBJECTS,
    OPENERS,
    TELLING,
    Call,
)
from casemate.importing.limits import MAX_CALLS, MAX_USES
from casemate.importing.modules import Modules, Scope
from casemate.importing.values import UNKNOWN, Client, Method, Thing, Value, Values, Web, argument

_FREE = frozenset(("exceptions", "meta", "close", "get_waiter", "get_paginator", "get_queue_url"))
"""Of clients: what asks nothing of AWS, or is told where it is used."""
BROUGHT = {
    "boto3": "boto3",
    "botocore": "boto3",
    "aws_lambda_powertools": "aws-lambda-powertools",
}
"""Packages by the modules that Lambda, or a layer of AWS's own, brings along."""
OPENFAAS_SECRETS = "/var/openfaas/secrets/"


@dataclass(frozen=True)
class Use:
    """One call of AWS."""

    service: str
    method: str
    name: str
    """Of the resource, as a text of the template; with UNKNOWN if that is not known."""
    place: Place
    call: Call | None = None
    """What is known of it; None if it has no counterpart."""


@dataclass(frozen=True)
class Contact:
    """One call of a server. The host is empty where it is not known."""

    host: str
    port: int
    place: Place


@dataclass
class Needs:
    """All that one function needs."""

    uses: list[Use] = field(default_factory=list)
    undecided: list[tuple[str, Place]] = field(default_factory=list)
    """Calls that only boto3 has, on something that is not known."""
    variables: dict[str, Place] = field(default_factory=dict)
    """Of the environment, with the first place that reads each."""
    reads: list[tuple[str, Place]] = field(default_factory=list)
    """All places that read a variable."""
    contacts: list[Contact] = field(default_factory=list)
    secret_files: list[tuple[str, Place]] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    """Of those that Lambda or a layer brings along, what is imported."""
    complete: bool = True
    """False if there was more code than is looked at."""

    def count(self) -> int:
        """Return how much is to be told of it."""
        return len(self.uses) + len(self.contacts) + len(self.reads) + len(self.undecided)


class Budget:
    """How many calls may be looked at: many functions can share much code."""

    def __init__(self, calls: int = MAX_CALLS) -> None:
        """Begin with all of them."""
        self.left = calls


def needs_of(
    modules: Modules,
    environment: dict[str, str],
    handler: str,
    others: frozenset[str],
    budget: Budget,
) -> Needs:
    """Return what a handler needs, and its modules when they are imported.

    `others` are the names of other handlers of the application.
    """
    values, needs = Values(modules, environment), Needs()
    reached = modules.reached(handler, others)
    needs.packages = {BROUGHT[name] for name in BROUGHT if modules.imports(name)}
    for module in modules.named.values():
        for node, scope in module.calls:
            if scope.body not in reached:
                continue
            budget.left -= 1
            if budget.left < 0 or needs.count() > MAX_USES:
                needs.complete = False
                return needs
            _Calling(node, scope, values, needs).look()
        for read, scope in module.reads:
            if scope.body in reached and values.dotted(read.value, scope) == "os.environ":
                _variable(values.text(read.slice, scope), scope, read, needs)
    return needs


def _variable(name: str, scope: Scope, node: ast.AST, needs: Needs) -> None:
    if name and UNKNOWN not in name:
        place = scope.module.file.place(node)
        needs.variables.setdefault(name, place)
        needs.reads.append((name, place))


class _Calling:
    """One call, looked at for all that it may need."""

    def __init__(self, node: ast.Call, scope: Scope, values: Values, needs: Needs) -> None:
        self._node = node
        self._scope = scope
        self._values = values
        self._needs = needs
        self._place = scope.module.file.place(node)

    def look(self) -> None:
        name = self._values.dotted(self._node.func, self._scope)
        if name in ("os.getenv", "os.environ.get"):
            key = self._values.text(argument(self._node, 0, "key"), self._scope)
            _variable(key, self._scope, self._node, self._needs)
        elif name in ("open", "pathlib.Path"):
            text = self._values.text(argument(self._node, 0, "file"), self._scope)
            if text.startswith(OPENFAAS_SECRETS) and UNKNOWN not in text:
                secret = text.removeprefix(OPENFAAS_SECRETS)
                self._needs.secret_files.append((secret, self._place))
        elif name in OPENERS:
            self._contact(argument(self._node, 0, "url"))
        elif name in CONNECTIONS:
            host = self._values.text(argument(self._node, 0, "host"), self._scope)
            self._reach("" if UNKNOWN in host else host, CONNECTIONS[name])
        elif name.partition(".")[0] in HTTP_MODULES and "." in name:
            self._web(name.rpartition(".")[2], "")
        if isinstance(self._node.func, ast.Attribute):
            self._method(self._node.func)

    # -- servers -------------------------------------------------------------------------------

    def _web(self, method: str, base: str) -> None:
        if method == "request":
            self._contact(argument(self._node, 1, "url"), base)
        elif method in HTTP_METHODS:
            self._contact(argument(self._node, 1 if method == "stream" else 0, "url"), base)

    def _contact(self, url: ast.expr | None, base: str = "") -> None:
        text = self._values.text(url, self._scope)
        if base and "://" not in text:
            text = base
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        known = bool(host) and parts.scheme in ("http", "https")
        if not known or text.startswith(UNKNOWN) or UNKNOWN in parts.netloc or "$" in parts.netloc:
            self._reach("", 443)
        else:
            self._reach(host, port or (443 if parts.scheme == "https" else 80))

    def _reach(self, host: str, port: int) -> None:
        self._needs.contacts.append(Contact(host, port, self._place))

    # -- AWS -----------------------------------------------------------------------------------

    def _method(self, called: ast.Attribute) -> None:
        owner, method = self._owner(called)
        if isinstance(owner, Web):
            self._web(method, owner.base)
        elif isinstance(owner, Client) and method not in _FREE:
            if method[:1].islower():
                self._client(owner.service, method)
        elif isinstance(owner, Method) and method == "paginate":
            self._client(owner.service, owner.name)
        elif isinstance(owner, Thing):
            self._thing(owner, method)
        elif owner is None and method in TELLING:
            self._needs.undecided.append((method, self._place))

    def _owner(self, called: ast.Attribute) -> tuple[Value | None, str]:
        """Return what the method is called on, and its name: `objects.all` of a bucket."""
        found = self._values.of(called.value, self._scope)
        if found is None and isinstance(called.value, ast.Attribute):
            inner = self._values.of(called.value.value, self._scope)
            if isinstance(inner, Thing):
                return inner, f"{called.value.attr}.{called.attr}"
        return found, called.attr

    def _client(self, service: str, method: str) -> None:
        call = CALLS.get((service, method))
        if call is None:
            self._needs.uses.append(Use(service, method, UNKNOWN, self._place))
            return
        name = self._values.text(argument(self._node, None, call.argument), self._scope)
        if service == "s3" and name == UNKNOWN and method.startswith(("upload", "download")):
            name = self._values.text(
                argument(self._node, 0 if "download" in method else 1, "Bucket"), self._scope
            )
        self._needs.uses.append(Use(service, method, name, self._place, call))
        for bucket in self._copied(method):
            self._needs.uses.append(
                Use(service, method, bucket, self._place, CALLS["s3", "get_object"])
            )

    def _copied(self, method: str) -> Iterator[str]:
        """Yield the bucket that an object is copied from."""
        source = argument(self._node, None, "CopySource")
        if method == "copy_object" and isinstance(source, ast.Dict):
            for key, value in zip(source.keys, source.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "Bucket":
                    yield self._values.text(value, self._scope)

    def _thing(self, owner: Thing, method: str) -> None:
        plain = OF_OBJECTS.get((owner.service, method), method)
        call = CALLS.get((owner.service, plain))
        if call is not None:
            self._needs.uses.append(Use(owner.service, plain, owner.name, self._place, call))
        elif plain not in ("Object", "batch_writer"):
            self._needs.uses.append(Use(owner.service, plain, owner.name, self._place))
