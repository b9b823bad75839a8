"""What the tables of a manifest are described with: tables, arrays and keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import msgspec

from casemate.manifest.kinds import Pattern, ValueKind


@dataclass(frozen=True)
class Table:
    """A table with fixed keys."""

    title: str
    description: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Return the field called `name`, or None."""
        return next((f for f in self.fields if f.name == name), None)

    def default(self, name: str) -> object:
        """Return the default of the field called `name`; None if there is none."""
        field = self.field(name)
        return None if field is None else field.default

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        needed = ", ".join(f"{field.name} = ..." for field in self.fields if field.required)
        return f"a table such as {{ {needed} }}" if needed else "a table"


@dataclass(frozen=True)
class NamedTables:
    """Tables of one kind under names that the author chooses; at least one."""

    table: Table
    names: Pattern
    max_count: int

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return f"1 to {self.max_count} tables, each with a name of its own"


@dataclass(frozen=True)
class NamedValues:
    """Values of one kind under names that the author chooses."""

    kind: ValueKind
    names: Pattern
    max_count: int
    description: str

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return f"a table of at most {self.max_count} keys"


@dataclass(frozen=True)
class TableArray:
    """An array of tables."""

    table: Table
    max_count: int

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return (
            f"an array of at most {self.max_count} tables, as [{{ ... }}, {{ ... }}] or each "
            "under [[...]] with two brackets"
        )


@dataclass(frozen=True)
class ValueArray:
    """An array of values of one kind, each of them once."""

    kind: ValueKind
    min_count: int
    max_count: int
    description: str

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return (
            f"an array of {self.min_count} to {self.max_count} values, each once and each "
            f"{self.kind.expected}"
        )


Kind = ValueKind | Table | NamedTables | NamedValues | TableArray | ValueArray


@dataclass(frozen=True)
class Field:
    """One key. `default` is as the manifest would write it; None means that there is none."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    default: object = None


def model_field(model: type[msgspec.Struct], name: str, kind: ValueKind, description: str) -> Field:
    """Return a key whose default, or that it has none, is as the model has it."""
    found = defaults_of(model)[name]
    required = found is msgspec.NODEFAULT
    default = None if required or found is None else kind.render(found)
    return Field(name, kind, description, required, default)


@cache
def defaults_of(model: type[msgspec.Struct]) -> dict[str, object]:
    """Return the default of each field. Once for all of a model: types are read with them."""
    return {field.name: field.default for field in msgspec.structs.fields(model)}
