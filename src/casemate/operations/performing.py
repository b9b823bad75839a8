"""How what performs operations is found: by their type, and apart by whether they read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from casemate.operations.declaration import Effect, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.form import form_of

AnswerT = TypeVar("AnswerT")
Perform = Callable[[Any, Any], Coroutine[Any, Any, AnswerT]]
"""A method of an adapter that takes the operation."""
ByType = dict[type[Operation[Any]], Perform[Any]]


class Port(Protocol):
    """What is asked by one call to read and another to change."""

    def read(self, operation: Operation[AnswerT]) -> Coroutine[Any, Any, AnswerT]:
        """Answer an operation that changes nothing."""
        ...

    def change(self, operation: Operation[AnswerT]) -> Coroutine[Any, Any, AnswerT]:
        """Do an operation, durably."""
        ...


def asked(port: Port, operation: Operation[AnswerT]) -> Coroutine[Any, Any, AnswerT]:
    """Ask a port by that one of its two calls which an operation is for."""
    reads = form_of(type(operation)).effect is Effect.READ
    return port.read(operation) if reads else port.change(operation)


class Performers:
    """The methods of one part of an adapter that perform operations."""

    def __init__(self) -> None:
        """Start with none."""
        self.by_type: ByType = {}

    def __call__(
        self, kind: type[Operation[AnswerT]]
    ) -> Callable[[Perform[AnswerT]], Perform[AnswerT]]:
        """Return a decorator for the method that performs `kind`."""

        def keep(perform: Perform[AnswerT]) -> Perform[AnswerT]:
            if kind in self.by_type:
                raise DeclarationError(f"More than one method performs {kind.__name__}.")
            self.by_type[kind] = perform
            return perform

        return keep


class Performed:
    """What an adapter performs, all its parts together."""

    def __init__(self, *parts: Performers) -> None:
        """Raise DeclarationError if two parts perform the same operation."""
        self.reads: ByType = {}
        self.changes: ByType = {}
        for part in parts:
            for kind, perform in part.by_type.items():
                if kind in self.reads or kind in self.changes:
                    raise DeclarationError(f"More than one method performs {kind.__name__}.")
                reads = form_of(kind).effect is Effect.READ
                (self.reads if reads else self.changes)[kind] = perform

    def reading(self, operation: Operation[Any]) -> Perform[Any]:
        """Return what performs an operation that reads. TypeError for any other."""
        return self.reads.get(type(operation)) or self._refuse(operation)

    def changing(self, operation: Operation[Any]) -> Perform[Any]:
        """Return what performs an operation that changes. TypeError for any other."""
        return self.changes.get(type(operation)) or self._refuse(operation)

    def _refuse(self, operation: Operation[Any]) -> Perform[Any]:
        name = type(operation).__name__
        if type(operation) in self.reads or type(operation) in self.changes:
            raise TypeError(f"{name} is asked for by the wrong one of `read` and `change`.")
        raise TypeError(f"{name} is not among the operations that are performed here.")
