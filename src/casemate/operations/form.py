"""Where each field of an operation travels: in the path, the query, the body or a capability's
request. Derived from its declaration, once, when the node starts."""

from __future__ import annotations

import inspect
import re
import threading
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any
from urllib.parse import quote

import msgspec

from casemate.model.principal import Resource
from casemate.operations.declaration import NDJSON, Declaration, Effect, On, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import Labels, Natural

_PARAMETER = re.compile(r"{(\w+)}")
_QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
_defining = threading.Lock()


@dataclass(frozen=True)
class Form:
    """An operation's type, taken apart."""

    kind: type[Operation[Any]]

    @property
    def declared(self) -> Declaration:
        """Return what is declared of it."""
        return self.kind.declared

    @cached_property
    def id(self) -> str:
        """Name of it for programs: the type's, in camel case."""
        return self.kind.__name__[0].lower() + self.kind.__name__[1:]

    @cached_property
    def method(self) -> str:
        """HTTP method."""
        return self.declared.http.partition(" ")[0]

    @cached_property
    def path(self) -> str:
        """Path below the API's prefix, with `{parameters}`."""
        return self.declared.http.partition(" ")[2]

    @cached_property
    def effect(self) -> Effect:
        """What it does to what is kept."""
        if self.declared.effect is not None:
            return self.declared.effect
        usual = {"GET": Effect.READ, "HEAD": Effect.READ, "DELETE": Effect.DESTROY}
        return usual.get(self.method, Effect.CHANGE)

    @cached_property
    def summary(self) -> str:
        """First line of the documentation, without its full stop."""
        return self._documentation[0].removesuffix(".")

    @cached_property
    def description(self) -> str:
        """Rest of the documentation."""
        return " ".join(" ".join(self._documentation[1:]).split())

    @cached_property
    def _documentation(self) -> list[str]:
        # Not inherited: an operation without words of its own is not documented.
        text = inspect.cleandoc(self.kind.__doc__ or "").strip()
        if not text or text.startswith(self.kind.__name__ + "("):
            raise DeclarationError(f"{self.kind.__name__} has no docstring.")
        return text.splitlines()

    @cached_property
    def answer(self) -> Any:
        """Type of the answer; None if it has none."""
        for base in getattr(self.kind, "__orig_bases__", ()):
            # `Generic[...]` is a base of `Operation` itself, and says nothing.
            if typing.get_origin(base) is Operation:
                (answer,) = typing.get_args(base)
                return None if answer is type(None) else answer
        raise DeclarationError(f"{self.kind.__name__} does not say what it is answered with.")

    @cached_property
    def line(self) -> Any:
        """Type of one line of the answer; None if it does not come in lines."""
        if self.declared.answer_type != NDJSON:
            return None
        parts = typing.get_args(self.answer)
        if typing.get_origin(self.answer) is not tuple or parts[1:] != (...,):
            raise DeclarationError(f"{self.kind.__name__} answers lines that are no tuple.")
        return parts[0]

    # -- fields -----------------------------------------------------------------------------------

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all fields."""
        return self.kind.__struct_fields__

    @cached_property
    def required(self) -> frozenset[str]:
        """Names of the fields that have no default."""
        defaults = self.kind.__struct_defaults__  # of the last ones
        without = self.names[: len(self.names) - len(defaults)]
        given = zip(self.names[len(without) :], defaults, strict=True)
        return frozenset((*without, *(name for name, one in given if one is msgspec.NODEFAULT)))

    @cached_property
    def fields(self) -> dict[str, msgspec.structs.FieldInfo]:
        """Every field with its type, by name.

        Types are texts until they are asked for. To read those of all operations takes a tenth of
        the start of a gateway, and most are never asked for. Raises DeclarationError where one of
        them is no type.
        """
        try:
            return {f.name: f for f in msgspec.structs.fields(self.kind)}
        except (NameError, AttributeError, SyntaxError, TypeError, ValueError) as error:
            raise DeclarationError(
                f"A type of {self.kind.__module__}.{self.kind.__name__} cannot be read: {error}. "
                "What it names has to be imported there while the program runs, too."
            ) from error

    @cached_property
    def in_path(self) -> tuple[str, ...]:
        """Fields that the path names, in its order."""
        return tuple(_PARAMETER.findall(self.path))

    @cached_property
    def narrowed(self) -> bool:
        """Whether it shows what there is of a project, or of a function, that is named beside it.

        Of one that there is not it has nothing either, which is no answer to a wrong name.
        """
        if not self.declared.http or self.effect is not Effect.READ:
            return False
        about = "project" in self.names and not isinstance(self.declared.on, On)
        return about and set(self.in_path) <= {"project"}

    @cached_property
    def in_query(self) -> tuple[str, ...]:
        """Fields of the query."""
        whole = self.method in _QUERY_METHODS or self.declared.content or self.declared.raw_content
        return self._free if whole else ()

    @cached_property
    def in_body(self) -> tuple[str, ...]:
        """Fields of the JSON body."""
        return () if self.in_query else self._free

    @cached_property
    def _free(self) -> tuple[str, ...]:
        elsewhere = {*self.in_path, self.declared.content, *self.declared.inside}
        return tuple(name for name in self.names if name not in elsewhere)

    @cached_property
    def body(self) -> type[msgspec.Struct] | None:
        """Type of the JSON body, which refuses what it does not know; None if there is none."""
        if not self.in_body:
            return None
        with _defining:
            # The API's document is made in threads while requests are read: whoever comes second
            # takes what the first has made, as another type of the same fields is another type.
            made = self.__dict__.get("body")
            if made is None:
                made = self._part(self.kind.__name__ + "Body", self.in_body)
                self.__dict__["body"] = made
        return typing.cast("type[msgspec.Struct]", made)

    def request(self) -> type[msgspec.Struct]:
        """Return the type of a function's request: all fields but the project, with a number."""
        names = [n for n in self.names if n not in ("project", self.declared.content)]
        return self._part(
            self.kind.__name__ + "Request", names, number=True, tag=self.declared.capability
        )

    def _part(
        self,
        name: str,
        names: typing.Sequence[str],
        *,
        number: bool = False,
        tag: str | None = None,
    ) -> type[msgspec.Struct]:
        parts: list[Any] = [("n", Natural)] if number else []
        for each in names:
            found = self.fields[each]
            if number and each == "labels":
                # The runtime tells them as text, which is checked before it is kept.
                parts.append((each, Labels | None, None))
            elif found.required:
                parts.append((each, found.type))
            elif found.default is not msgspec.NODEFAULT:
                parts.append((each, found.type, found.default))
            else:
                made = msgspec.field(default_factory=typing.cast("Any", found.default_factory))
                parts.append((each, found.type, made))
        return msgspec.defstruct(
            name,
            parts,
            frozen=True,
            kw_only=True,
            forbid_unknown_fields=True,
            tag_field=None if tag is None else "op",
            tag=tag,
            namespace={"__doc__": self.summary + "."},
        )

    # -- a request to a node ---------------------------------------------------------------------

    def target(self, operation: Operation[Any]) -> str:
        """Return the path of one operation, each part percent-encoded."""
        return _PARAMETER.sub(lambda found: _of_path(getattr(operation, found[1])), self.path)

    def query(self, operation: Operation[Any]) -> dict[str, str]:
        """Return the query of one operation; what is as it would be anyway is left out."""
        return {
            name: _text(value)
            for name in self.in_query
            if (value := getattr(operation, name)) != self.fields[name].default
        }

    def json(self, operation: Operation[Any]) -> dict[str, Any] | None:
        """Return the body of one operation, None if it has none."""
        if not self.in_body:
            return None
        return {
            name: value
            for name in self.in_body
            if (value := getattr(operation, name)) != self.fields[name].default
        }

    def scope(self, operation: Operation[Any]) -> Resource:
        """Return what one operation acts on."""
        return self.declared.on(partial(getattr, operation))

    def make(self, values: Mapping[str, Any]) -> Operation[Any]:
        """Return the operation with these fields; the others are as declared."""
        return self.kind(**values)


@cache
def form_of(kind: type[Operation[Any]]) -> Form:
    """Return an operation's type taken apart. Bounded: there are as many as are declared."""
    return Form(kind)


def _of_path(value: object) -> str:
    """Return a value as one part of a path, which no reader takes for a step up or for none."""
    part = quote(str(value), safe="")
    return part if part.strip(".") else part.replace(".", "%2E")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # Never with an exponent, and with no more digits than a moment has.
        return f"{value:.6f}".rstrip("0").removesuffix(".")
    return str(value)
