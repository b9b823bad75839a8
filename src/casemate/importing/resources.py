"""Buckets, tables, queues and topics of a template as those of a project, and the names of all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from casemate.audit.model import Application, Asset, Place
from casemate.audit.privileges import HOLE
from casemate.importing.names import Names, of_function, plain
from casemate.importing.outcome import Notes

_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_/-]{1,255})(?:\.[A-Za-z0-9_.]{1,255})?\}")
KINDS = ("bucket", "table", "queue", "topic")
_SECRETS = ("secret", "parameter")
_MAX_INDEXES = 20


@dataclass(frozen=True)
class Known:
    """Something of the template, or that its code names, and what it is called here."""

    kind: str
    name: str
    logical: str
    """Its name in the template; empty if it is not in there."""
    physical: str
    """What the platform calls it; empty if only a deployment knows."""

    @property
    def identity(self) -> tuple[str, str]:
        """Return kind and name."""
        return self.kind, self.name


class Resources:
    """All that functions may be granted. What a manifest has to declare is in `declared`."""

    def __init__(self, application: Application, notes: Notes) -> None:
        """Give names to what the template declares, and translate it."""
        self.declared: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self._notes = notes
        self._names = {kind: Names() for kind in (*KINDS, "secret", "function")}
        self._by_logical: dict[str, Known] = {}
        self._by_physical: dict[tuple[str, str], Known] = {}
        self._by_name: dict[tuple[str, str], Known] = {}
        self._of_variables: dict[tuple[str, str], str] = {}
        for function in application.functions:
            name = self._names["function"].take(
                of_function(_declared(function.settings, function.name))
            )
            named = str(function.settings.get("named") or "")
            self._keep(Known("function", name, function.name, named))
        for asset in application.assets:
            self._add(asset)

    def _keep(self, known: Known) -> Known:
        if known.logical:
            self._by_logical.setdefault(known.logical, known)
            self._by_name.setdefault(known.identity, known)
        if known.physical:
            self._by_physical.setdefault((known.kind, known.physical), known)
        return known

    def _add(self, asset: Asset) -> None:
        kind = "secret" if asset.kind in _SECRETS else asset.kind
        if kind not in self._names or kind == "function" or asset.name in self._by_logical:
            return
        if kind == "queue" and "::SQS::" not in asset.type:
            return
        physical = str(asset.settings.get("named") or "")
        readable = physical if physical and "$" not in physical else asset.name
        table: dict[str, Any] | None = {}
        if kind == "table":
            table = self._table(asset)
        if table is None:
            return
        name = self._names[kind].take(plain(readable, kind))
        self._keep(Known(kind, name, asset.name, physical))
        if kind != "secret":
            self.declared[kind][name] = table

    def _table(self, asset: Asset) -> dict[str, Any] | None:
        """Return the keys of a table's declaration; None if it can have none here."""
        schema = asset.settings.get("schema") or ()
        if not schema or not all(_usable(each) for each in schema):
            self._notes.leave(
                asset.place,
                f"the table {asset.name}: its key is not known, is binary, or has a name that no "
                "attribute has here",
                "declare the table in casemate.toml with a key of text or numbers, and grant it",
                blocking=True,
            )
            return None
        made: dict[str, Any] = {"key": schema[0][0]}
        if len(schema) > 1:
            made["sort"] = schema[1][0]
        expires = asset.settings.get("expires")
        if expires and _ATTRIBUTE.fullmatch(expires):
            made["ttl"] = expires
        indexes, names = [], Names()
        for name, keys in (asset.settings.get("indexes") or ())[:_MAX_INDEXES]:
            if not keys or not all(_usable(each) for each in keys):
                self._notes.leave(
                    asset.place,
                    f"the index {name or '?'} of the table {asset.name} has a key of another kind",
                    "add it to `indexes` of the table in casemate.toml",
                )
                continue
            index = {"name": names.take(plain(name, "index")), "key": keys[0][0]}
            indexes.append({**index, **({"sort": keys[1][0]} if len(keys) > 1 else {})})
        return {**made, **({"indexes": indexes} if indexes else {})}

    def secret_of(self, variable: str, value: str) -> str:
        """Return the secret that a variable's value becomes: the same for the same value."""
        key = (variable, value)
        if key not in self._of_variables:
            self._of_variables[key] = self._names["secret"].take(plain(variable, "secret"))
        return self._of_variables[key]

    # -- finding -------------------------------------------------------------------------------

    def logical(self, name: str) -> Known | None:
        """Return what a name of the template stands for."""
        return self._by_logical.get(name)

    def called(self, text: str) -> Known | None:
        """Return what has exactly this name on the other platform, as the template makes it."""
        found = (self._by_physical.get((kind, text)) for kind in (*KINDS, "secret", "function"))
        return next((each for each in found if each is not None), None)

    def find(self, kind: str, text: str) -> Known | None:
        """Return what a text names: a reference, a name, an ARN, or the address of a queue."""
        reference = _REFERENCE.fullmatch(text)
        if reference is not None:
            found = self._by_logical.get(reference[1])
            return found if found is not None and found.kind == kind else None
        for name in (text, re.split(r"[:/]", text[-400:])[-1]):
            found = self._by_physical.get((kind, name))
            if found is None and kind in self._names:
                # Variables are written with names of this platform.
                found = self._by_name.get((kind, name))
            if found is not None:
                return found
        return None

    def demand(self, kind: str, text: str, place: Place) -> Known | None:
        """Return what a text names, also what the template does not have if a name is enough."""
        found = self.find(kind, text)
        if found is not None or not text or "$" in text or HOLE in text:
            return found
        physical = re.split(r"[:/]", text[-400:])[-1] if kind != "secret" else text
        if kind == "table":
            self._notes.leave(
                place,
                f"the table {physical} is not in the template",
                "declare it in casemate.toml with its key, and grant it",
                blocking=True,
            )
            return None
        if kind not in self._names or kind == "function":
            return None
        return self._keep(Known(kind, self._names[kind].take(plain(physical, kind)), "", physical))

    def declare(self, known: Known) -> None:
        """Declare what is granted or triggers, unless the template did so."""
        if known.kind in self.declared:
            self.declared[known.kind].setdefault(known.name, {})


def _usable(attribute: tuple[str, str]) -> bool:
    name, kind = attribute
    return kind in ("S", "N", "") and _ATTRIBUTE.fullmatch(name) is not None


def _declared(settings: Any, name: str) -> str:
    return str(settings.get("declared") or name)
