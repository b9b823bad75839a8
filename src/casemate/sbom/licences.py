"""The licence of a package by its metadata: expression, field, or classifiers, in this order."""

from __future__ import annotations

from email.message import Message
from typing import Any, NamedTuple

from casemate.sbom.expressions import MAX_CHARS, canonical

_MAX_CLASSIFIERS = 20
"""Licences by classifier of one package; the rest is told as one."""
_OWN_TEXT = "see the package's own text"
"""What is longer than an expression may be is the text of a licence, not its name."""
_CLASSIFIER = "License :: "
_IDS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": None,  # there are several
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}


class Stated(NamedTuple):
    """One licence that a package states."""

    expression: str
    """Empty if what it states is no expression."""
    text: str


def stated_in(metadata: Message) -> tuple[Stated, ...]:
    """Return the licences that a package states, all of which hold: those of `licences_of`."""
    found = []
    for each in licences_of(metadata):
        licence = each.get("license", {})
        text = each.get("expression") or licence.get("id") or licence["name"]
        is_name = "name" in licence
        found.append(Stated("" if is_name else canonical(text) or "", text))
    return tuple(found)


def licences_of(metadata: Message) -> list[dict[str, Any]]:
    """Return CycloneDX's `licenses` of a package: one expression, or licences by id or name.

    An expression that cannot be read is a name: no weaker field takes its place.
    """
    for name in ("License-Expression", "License"):
        text = _field(metadata, name)
        expression = canonical(text)
        if expression is not None:
            return [{"expression": expression, "acknowledgement": "declared"}]
        if text and name == "License-Expression":
            return [_licence(text)]
    classified = [
        str(each).rsplit(" :: ", 1)[-1]
        for each in metadata.get_all("Classifier") or ()
        if str(each).startswith(_CLASSIFIER) and str(each).count(" :: ") > 0
    ]
    names = [each for each in dict.fromkeys(classified) if each != "OSI Approved"]
    if names:
        more = [_licence("and more")] if len(names) > _MAX_CLASSIFIERS else []
        return [*(_licence(each) for each in names[:_MAX_CLASSIFIERS]), *more]
    text = _field(metadata, "License")
    return [_licence(text)] if text and text != "UNKNOWN" else []


def _field(metadata: Message, name: str) -> str:
    """Return what a field says; of several that differ all hold."""
    texts = (" ".join(str(each).split()) for each in metadata.get_all(name) or ())
    found = list(dict.fromkeys(text for text in texts if text))
    return found[0] if len(found) == 1 else " AND ".join(f"({text})" for text in found)


def _licence(text: str) -> dict[str, Any]:
    name = text if len(text) <= MAX_CHARS else _OWN_TEXT
    known = _IDS.get(name)
    what = {"name": name} if known is None else {"id": known}
    return {"license": {**what, "acknowledgement": "declared"}}
