"""Which functions a text of a template leads to, by name, ARN, alias or version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from casemate.audit.documents import place_of
from casemate.audit.importers.aws.functions import PLAIN, SAM
from casemate.audit.importers.aws.resource import Resource
from casemate.audit.model import Place
from casemate.audit.notes import Notes

_NAMES = re.compile(r"\$\{([^${}.]{1,400})")
_ARN = re.compile(r":function:([A-Za-z0-9_-]{1,140})")
_MAX_LOOKED_AT = 4_000


class References:
    """Finds the functions that values name."""

    def __init__(self, resources: Iterable[Resource], notes: Notes) -> None:
        """Learn the functions, and what else leads to them."""
        self._notes = notes
        self._leads: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        others = []
        for each in resources:
            if each.type in (PLAIN, SAM):
                self._leads[each.name] = each.name
                own = each.get("FunctionName")
                if isinstance(own, str):
                    self._by_name[own] = each.name
            elif each.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
                others.append(each)
        for each in others:
            found = self.one(each.get("FunctionName"))
            if found:
                self._leads[each.name] = found

    def one(self, value: Any) -> str:
        """Return the function that a value names, or nothing."""
        return next(iter(self.all(value)), "")

    def all(self, value: Any) -> list[str]:
        """Return all functions that are named in a value, however deep."""
        found: dict[str, None] = {}
        waiting, looked = [value], 0
        while waiting and looked < _MAX_LOOKED_AT:
            looked += 1
            each = waiting.pop()
            if isinstance(each, dict):
                waiting += each.values()
            elif isinstance(each, list):
                waiting += each
            elif isinstance(each, str):
                for name in _NAMES.findall(each):
                    if name in self._leads:
                        found[self._leads[name]] = None
                for name in _ARN.findall(each) or ([each] if each in self._by_name else []):
                    if name in self._by_name:
                        found[self._by_name[name]] = None
        if waiting:
            what = f"more than {_MAX_LOOKED_AT} values: no others are searched for functions"
            self._notes.say(place_of(value, None, Place(".")), what)
        return list(found)
