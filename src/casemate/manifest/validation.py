"""Walks the tables of a parsed manifest and notes everything that does not fit them."""

from __future__ import annotations

from casemate.manifest.kinds import Pattern, ValueKind
from casemate.manifest.locator import KeyPath
from casemate.manifest.misplaced import expected_instead
from casemate.manifest.problem import ProblemCollector, described
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.structure import (
    Field,
    NamedTables,
    NamedValues,
    Table,
    TableArray,
    ValueArray,
)

Values = dict[str, object]
"""Checked values by key: absent if the manifest does not say it, None if what it says is wrong."""


def validate(table: Table, raw: object, problems: ProblemCollector) -> Values:
    """Return the valid values of a whole manifest; note the problems of all others."""
    return _table(table, raw, (), problems)


def _table(table: Table, raw: object, path: KeyPath, problems: ProblemCollector) -> Values:
    if not isinstance(raw, dict):
        problems.add(path, described(raw), table.expected)
        return {}
    values: Values = {}
    for name, value in raw.items():
        field = table.field(name)
        if field is None:
            # A suggestion takes long, and of hundreds of thousands of keys most are only counted.
            expected = "" if problems.full else expected_instead(name, table, path)
            problems.add((*path, name), "an unknown key", expected)
        else:
            _field(field, value, (*path, name), values, problems)
    for field in table.fields:
        if field.required and field.name not in raw:
            problems.add(
                (*path, field.name),
                "nothing",
                f"the required key {field.name}: {field.kind.expected}",
            )
    return values


def _field(
    field: Field, raw: object, path: KeyPath, values: Values, problems: ProblemCollector
) -> None:
    kind = field.kind
    if isinstance(kind, Table):
        values[field.name] = _table(kind, raw, path, problems)
    elif isinstance(kind, NamedTables):
        values[field.name] = _named_tables(kind, raw, path, problems)
    elif isinstance(kind, NamedValues):
        values[field.name] = _named_values(kind, raw, path, problems)
    elif isinstance(kind, TableArray):
        values[field.name] = _table_array(kind, raw, path, problems)
    elif isinstance(kind, ValueArray):
        values[field.name] = _value_array(kind, raw, path, problems)
    else:
        values[field.name] = _value(kind, raw, path, problems)


def _value(kind: ValueKind, raw: object, path: KeyPath, problems: ProblemCollector) -> object:
    try:
        return kind.parse(raw)
    except RejectedValueError as error:
        problems.add(path, error.found, error.expected)
        return None


def _named_tables(
    kind: NamedTables, raw: object, path: KeyPath, problems: ProblemCollector
) -> Values:
    if not isinstance(raw, dict):
        problems.add(path, described(raw), kind.expected)
        return {}
    if not 1 <= len(raw) <= kind.max_count:
        problems.add(path, f"{len(raw)} tables", kind.expected)
        return {}
    values: Values = {}
    for name, value in raw.items():
        _check_name(kind.names, name, path, problems)
        values[name] = _table(kind.table, value, (*path, name), problems)
    return values


def _named_values(
    kind: NamedValues, raw: object, path: KeyPath, problems: ProblemCollector
) -> Values:
    if not isinstance(raw, dict):
        problems.add(path, described(raw), kind.expected)
        return {}
    if len(raw) > kind.max_count:
        problems.add(path, f"{len(raw)} keys", kind.expected)
        return {}
    for name in raw:
        _check_name(kind.names, name, path, problems)
    return {name: _value(kind.kind, value, (*path, name), problems) for name, value in raw.items()}


def _check_name(names: Pattern, name: str, path: KeyPath, problems: ProblemCollector) -> None:
    try:
        names.parse(name)
    except RejectedValueError as error:
        problems.add((*path, name), f"the name {error.found}", error.expected)


def _table_array(
    kind: TableArray, raw: object, path: KeyPath, problems: ProblemCollector
) -> list[Values]:
    if not isinstance(raw, list):
        problems.add(path, described(raw), kind.expected)
        return []
    if len(raw) > kind.max_count:
        problems.add(path, f"{len(raw)} tables", kind.expected)
        return []
    return [_table(kind.table, item, (*path, i), problems) for i, item in enumerate(raw)]


def _value_array(
    kind: ValueArray, raw: object, path: KeyPath, problems: ProblemCollector
) -> list[object]:
    """Return the values in their order; the place of one that is wrong is kept by a None."""
    if not isinstance(raw, list):
        problems.add(path, described(raw), kind.expected)
        return []
    if not kind.min_count <= len(raw) <= kind.max_count:
        problems.add(path, f"{len(raw)} values", kind.expected)
        return []
    values: list[object] = []
    for index, item in enumerate(raw):
        value = _value(kind.kind, item, (*path, index), problems)
        if value is not None and value in values:
            problems.add((*path, index), f"{described(item)} once more", "each value once")
            value = None
        values.append(value)
    return values
