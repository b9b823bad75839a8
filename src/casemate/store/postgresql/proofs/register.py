"""The codes of all rows that are proved, as a node has them in memory, and what is made of them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from casemate.vault.interface import DataKey

_MODULUS: Final = 1 << 256


class Item(NamedTuple):
    """A row that is proved, as it is in the database."""

    kind: str
    name: str
    group: str
    """Those of one kind and group can be deleted by one statement."""
    values: Sequence[object]


class Change(NamedTuple):
    """What becomes of one row: another code, or none."""

    kind: str
    name: str
    group: str
    code: bytes | None


class Key:
    """Makes the codes. Who has it is a node of the cluster."""

    def __init__(self, key: DataKey) -> None:
        """Derive a key for each use."""
        self.version = key.version
        self._rows = hmac.digest(key.key, b"rows", "sha256")
        self._whole = hmac.digest(key.key, b"whole", "sha256")
        self.entries = hmac.digest(key.key, b"entries", "sha256")
        """Encrypts what was changed."""

    def of_item(self, item: Item) -> bytes:
        """Return the code of a row: of what it is, and of each of its values."""
        values = [_plain(value) for value in item.values]
        encoded = msgspec.msgpack.encode((item.kind, item.name, item.group, values))
        return hmac.digest(self._rows, encoded, "sha256")

    def of_whole(self, generation: int, total: int, before: bytes) -> bytes:
        """Return the code of all rows at a generation, which followed another."""
        whole = generation.to_bytes(8, "big") + total.to_bytes(32, "big") + before
        return hmac.digest(self._whole, whole, "sha256")

    def name_of(self, *parts: bytes) -> str:
        """Return a name for what was found, which nobody else can foretell."""
        joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._whole, b"name" + joined, "sha256")[:8].hex()


def _plain(value: object) -> object:
    """Return a value as both ways give it: a server has REAL where a whole number was given."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return float(value) if isinstance(value, int) else value


class Register:
    """All codes at one generation. Belongs to one thread at a time."""

    def __init__(self, key: Key) -> None:
        """Begin with none."""
        self.key = key
        self.generation = 0
        self.code = b""
        """Of all of them at this generation."""
        self.total = 0
        """Their sum: the order of rows means nothing. It is never shown."""
        self._codes: dict[str, dict[str, tuple[str, bytes]]] = {}
        self._groups: dict[tuple[str, str], set[str]] = {}

    def copied(self) -> Register:
        """Return another with the same codes."""
        other = Register(self.key)
        other.generation, other.code, other.total = self.generation, self.code, self.total
        other._codes = {kind: dict(codes) for kind, codes in self._codes.items()}
        other._groups = {group: set(names) for group, names in self._groups.items()}
        return other

    def has(self, kind: str, name: str) -> bool:
        """Tell whether there is such a row."""
        return name in self._codes.get(kind, {})

    def count(self, kind: str) -> int:
        """Return how many rows of a kind there are."""
        return len(self._codes.get(kind, {}))

    def names(self, kind: str, group: str) -> tuple[str, ...]:
        """Return the names of a group, sorted."""
        return tuple(sorted(self._groups.get((kind, group), ())))

    def is_proved(self, item: Item) -> bool:
        """Tell whether a row is the one that was written last under its name."""
        known = self._codes.get(item.kind, {}).get(item.name)
        return known is not None and hmac.compare_digest(known[1], self.key.of_item(item))

    def kept(self, item: Item) -> Change:
        """Return the change that keeps a row in the place of the one with its name."""
        return Change(item.kind, item.name, item.group, self.key.of_item(item))

    def dropped(self, kind: str, names: Iterable[str]) -> list[Change]:
        """Return the changes that forget rows; those that are not there need none."""
        codes = self._codes.get(kind, {})
        return [Change(kind, name, codes[name][0], None) for name in names if name in codes]

    def apply(self, change: Change) -> Callable[[], None]:
        """Make a change; return what undoes it."""
        kind, name, group, code = change
        codes = self._codes.setdefault(kind, {})
        before = codes.get(name)
        if before is not None:
            self.total -= int.from_bytes(before[1])
            self._groups[kind, before[0]].discard(name)
            del codes[name]
        if code is not None:
            codes[name] = (group, code)
            self._groups.setdefault((kind, group), set()).add(name)
            self.total += int.from_bytes(code)
        self.total %= _MODULUS
        back = Change(kind, name, *(("", None) if before is None else before))

        def undo() -> None:
            self.apply(back)

        return undo

    def step(self, generation: int, code: bytes) -> Callable[[], None]:
        """Be at another generation; return what undoes it."""
        was = (self.generation, self.code)
        self.generation, self.code = generation, code

        def undo() -> None:
            self.generation, self.code = was

        return undo

    def next_code(self) -> bytes:
        """Return the code of what there is now, as the generation after this one."""
        return self.key.of_whole(self.generation + 1, self.total, self.code)
