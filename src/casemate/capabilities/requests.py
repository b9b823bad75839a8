"""Everything a running function can ask for: the operations that are declared as capabilities.

The peer is `runner/channel.py`, for the handles beside it. A request is the operation without its
project, which is the function's own, and with a number; anything else ends the instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Union

import msgspec

from casemate.capabilities.labels import kept
from casemate.model.data import MAX_PART
from casemate.model.grant import GrantKind
from casemate.operations.catalogue import FORMS
from casemate.operations.declaration import On, Operation
from casemate.operations.form import Form
from casemate.operations.items import QueryItems
from casemate.operations.objects import ListObjects, ReadObject
from casemate.operations.uses import InvokeFunction

_USUAL_REPLY = 64 * 1024


class Wanted(NamedTuple):
    """What must be granted: where grants have prefixes, `key` must be within one."""

    kind: GrantKind
    name: str
    action: str
    key: str


@dataclass(frozen=True)
class _Grantable:
    """How what must be granted is found in an operation of one kind."""

    kind: GrantKind
    named: str
    action: str
    key: str

    @classmethod
    def of(cls, form: Form) -> _Grantable | None:
        """Return it; None where none is needed."""
        action, scope = form.declared.action, form.declared.on
        if action is None:
            return None
        if not isinstance(scope, On):
            raise TypeError(f"{form.kind.__name__} acts on nothing that can be granted.")
        return cls(
            GrantKind(scope.kind.value),
            scope.named,
            action.value.partition(":")[2],
            form.declared.key,
        )

    def wanted(self, head: Any) -> Wanted:
        """Return what must be granted for the request that `head` begins."""
        key = getattr(head, self.key) if self.key else ""
        return Wanted(self.kind, getattr(head, self.named), self.action, key)


@dataclass(frozen=True)
class _Kind:
    """What a request of one kind is taken apart with."""

    form: Form
    names: tuple[str, ...]
    grantable: _Grantable | None

    @classmethod
    def of(cls, form: Form, request: type[msgspec.Struct]) -> _Kind:
        """Return that of `request`, which was derived from `form`."""
        names = tuple(name for name in request.__struct_fields__ if name != "n")
        return cls(form, names, _Grantable.of(form))


_KINDS: dict[type, _Kind] = {}
for _form in FORMS:
    if _form.declared.capability:
        _request = _form.request()
        _KINDS[_request] = _Kind.of(_form, _request)

decode = msgspec.json.Decoder(Union[tuple(_KINDS)]).decode  # noqa: UP007
"""Returns the head of a request; msgspec.ValidationError if it is none that can be asked."""


def kind_of(head: Any) -> type[Operation[Any]]:
    """Return the operation that a request asks for."""
    return _KINDS[type(head)].form.kind


def read(project: str, head: Any, body: bytes) -> Operation[Any]:
    """Return what a request asks for in `project`.

    Raises InvalidInputError if its labels are malformed.
    """
    kind = _KINDS[type(head)]
    values = {name: getattr(head, name) for name in kind.names}
    if "labels" in values:
        values["labels"] = kept(values["labels"])
    if kind.form.declared.content:
        values[kind.form.declared.content] = bytes(body)
    return kind.form.kind(project=project, **values)


def wanted(head: Any) -> Wanted | None:
    """Return what must be granted for a request; None: nothing."""
    found = _KINDS[type(head)].grantable
    return None if found is None else found.wanted(head)


def told(head: Any) -> tuple[str, str]:
    """Return what a request is called in a trace: `queue.send` and `queue jobs`, no key of it."""
    name = _KINDS[type(head)].form.declared.capability
    asked = wanted(head)
    return name, "" if asked is None else f"{asked.kind.value} {asked.name}"


def reply_bytes(head: Any) -> int:
    """Return how many bytes of room a reply is given before it is known how many it has.

    None for a call to another function, which may take long and has a limit on its answer.
    """
    kind = kind_of(head)
    if kind is ReadObject:
        return MAX_PART if head.length is None else min(head.length, MAX_PART)
    if kind in (QueryItems, ListObjects):
        return MAX_PART
    return 0 if kind is InvokeFunction else _USUAL_REPLY
