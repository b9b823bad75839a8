"""Families of numbers as they travel to who exports them, in parts of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from casemate.decoding import decodable
from casemate.model.metrics import SECONDS, Durations

MAX_SAMPLES = 400
"""Numbers in one part of a family; a histogram counts as one for each class."""
_CLASSES = len(SECONDS) + 1

T = TypeVar("T")
Kind = Literal["counter", "gauge", "histogram"]
Labels = Annotated[str, msgspec.Meta(max_length=2048)]
"""As they stand between braces (`casemate.metrics.exposition.labels`)."""
Counts = Annotated[tuple[int, ...], msgspec.Meta(min_length=_CLASSES, max_length=_CLASSES)]


class Writer(Protocol):
    """Who is told families, one after the other, each whole."""

    def family(self, name: str, kind: str, text: str) -> None:
        """Begin a family."""
        ...

    def sample(self, labelled: str, value: float) -> None:
        """Add one number of it, with its labels."""
        ...

    def durations(self, labelled: str, durations: Durations) -> None:
        """Add one histogram of it."""
        ...


class Plain(NamedTuple, Generic[T]):
    """A family with one number for each of several things."""

    name: str
    """What comes after `casemate_`."""
    kind: str
    text: str
    value: Callable[[T], float]


def write_plain(out: Writer, family: Plain[T], named: Iterable[tuple[str, T]]) -> None:
    """Write such a family; each thing comes with its labels."""
    out.family(f"casemate_{family.name}", family.kind, family.text)
    for labelled, one in named:
        out.sample(labelled, family.value(one))


class Family(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A family, or part of one."""

    name: Annotated[str, msgspec.Meta(max_length=128)]
    kind: Kind
    text: Annotated[str, msgspec.Meta(max_length=512)]
    samples: Annotated[tuple[tuple[Labels, float], ...], msgspec.Meta(max_length=MAX_SAMPLES)] = ()
    durations: Annotated[
        tuple[tuple[Labels, Counts, float], ...], msgspec.Meta(max_length=MAX_SAMPLES)
    ] = ()


class Families:
    """Collects them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parts: list[Family] = []
        self._head: tuple[str, Kind, str] | None = None
        self._samples: list[tuple[str, float]] = []
        self._durations: list[tuple[str, tuple[int, ...], float]] = []

    def family(self, name: str, kind: str, text: str) -> None:
        """Begin a family."""
        self._end_part()
        self._head = (name, msgspec.convert(kind, decodable(Kind)), text)

    def sample(self, labelled: str, value: float) -> None:
        """Add one number of it, with its labels."""
        self._samples.append((labelled, float(value)))
        if len(self._samples) >= MAX_SAMPLES:
            self._end_part()

    def durations(self, labelled: str, durations: Durations) -> None:
        """Add one histogram of it."""
        self._durations.append((labelled, durations.counts, durations.seconds))
        if len(self._durations) * _CLASSES >= MAX_SAMPLES:
            self._end_part()

    def _end_part(self) -> None:
        if self._head is not None and (self._samples or self._durations):
            self._parts.append(Family(*self._head, tuple(self._samples), tuple(self._durations)))
        self._samples, self._durations = [], []

    def messages(self) -> Iterator[tuple[Family, ...]]:
        """Yield all parts, as many together as there is room for in one message."""
        self._end_part()
        together: list[Family] = []
        size = 0
        for part in self._parts:
            more = len(part.samples) + _CLASSES * len(part.durations) + 1
            if together and size + more > MAX_SAMPLES:
                yield tuple(together)
                together, size = [], 0
            together.append(part)
            size += more
        if together:
            yield tuple(together)
