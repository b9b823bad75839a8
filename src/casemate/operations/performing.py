"""How what performs operations is found: by their type, and apart by whether they read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from casemate.operations.declaration import Effect, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.form import form_of

AnswerT = TypeVar("AnswerT")
Perform = Callable[[Any, Any], Coroutine[Any, Any, AnswerT]]
"""A method of an adapter that takes the operation."""
OperationT = TypeVar("OperationT", bound=Operation[Any])
Direct = Callable[[Any, OperationT], AnswerT]
"""A function of an adapter that takes what it works on, and the operation."""
PerformT = TypeVar("PerformT", bound=Callable[[Any, Any], Any])


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


class _Table(Generic[PerformT]):
    """What performs the operations of one part of an adapter."""

    def __init__(self) -> None:
        """Start with none."""
        self.by_type: dict[type[Operation[Any]], PerformT] = {}

    def _keep(self, kind: type[Operation[Any]], perform: PerformT) -> None:
        if kind in self.by_type:
            raise DeclarationError(f"More than one method performs {kind.__name__}.")
        self.by_type[kind] = perform


class Performers(_Table[Perform[Any]]):
    """The methods of one part of an adapter that perform operations."""

    def __call__(
        self, kind: type[Operation[AnswerT]]
    ) -> Callable[[Perform[AnswerT]], Perform[AnswerT]]:
        """Return a decorator for the method that performs `kind`."""

        def keep(perform: Perform[AnswerT]) -> Perform[AnswerT]:
            self._keep(kind, perform)
            return perform

        return keep


class DirectPerformers(_Table[Callable[[Any, Any], Any]]):
    """Functions that perform operations on what they are given, such as a connection."""

    def __call__(
        self, kind: type[Operation[AnswerT]]
    ) -> Callable[[Direct[OperationT, AnswerT]], Direct[OperationT, AnswerT]]:
        """Return a decorator for the function that performs `kind`."""

        def keep(perform: Direct[OperationT, AnswerT]) -> Direct[OperationT, AnswerT]:
            self._keep(kind, perform)
            return perform

        return keep


class Performed(Generic[PerformT]):
    """What an adapter performs, all its parts together."""

    def __init__(self, *parts: _Table[PerformT]) -> None:
        """Raise DeclarationError if two parts perform the same operation."""
        self.reads: dict[type[Operation[Any]], PerformT] = {}
        self.changes: dict[type[Operation[Any]], PerformT] = {}
        for part in parts:
            for kind, perform in part.by_type.items():
                if kind in self.reads or kind in self.changes:
                    raise DeclarationError(f"More than one method performs {kind.__name__}.")
                reads = form_of(kind).effect is Effect.READ
                (self.reads if reads else self.changes)[kind] = perform

    def reading(self, operation: Operation[Any]) -> PerformT:
        """Return what performs an operation that reads. TypeError for any other."""
        return self.reads.get(type(operation)) or self._refuse(operation)

    def changing(self, operation: Operation[Any]) -> PerformT:
        """Return what performs an operation that changes. TypeError for any other."""
        return self.changes.get(type(operation)) or self._refuse(operation)

    def _refuse(self, operation: Operation[Any]) -> NoReturn:
        name = type(operation).__name__
        if type(operation) in self.reads or type(operation) in self.changes:
            raise TypeError(f"{name} is asked for by the wrong one of `read` and `change`.")
        raise TypeError(f"{name} is not among the operations that are performed here.")
