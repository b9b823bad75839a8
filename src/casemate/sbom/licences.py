"""The licence of a package by its metadata: expression, field, or classifiers, in this order."""

from __future__ import annotations

from email.message import Message
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_MAX_CHARS = 200
"""A longer `License` is the text of a licence, not its name."""
_CLASSIFIER = "License :: "
_IDS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": None,  # there are several
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}


def licences_of(metadata: Message) -> list[dict[str, Any]]:
    """Return CycloneDX's `licenses` of a package: one expression, or licences by id or name."""
    for name in ("License-Expression", "License"):
        text = " ".join(str(metadata[name] or "").split())
        expression = _expression(text)
        if expression is not None:
            return [{"expression": expression, "acknowledgement": "declared"}]
    classified = [
        str(each).rsplit(" :: ", 1)[-1]
        for each in metadata.get_all("Classifier") or ()
        if str(each).startswith(_CLASSIFIER) and str(each).count(" :: ") > 0
    ]
    names = [each for each in dict.fromkeys(classified) if each != "OSI Approved"]
    if names:
        return [_licence(each[:_MAX_CHARS]) for each in names]
    text = " ".join(str(metadata["License"] or "").split())
    if text and text != "UNKNOWN":
        return [_licence(text if len(text) <= _MAX_CHARS else "see the package's own text")]
    return []


def _licence(name: str) -> dict[str, Any]:
    known = _IDS.get(name)
    what = {"name": name} if known is None else {"id": known}
    return {"license": {**what, "acknowledgement": "declared"}}


def _expression(text: str) -> str | None:
    if not text or len(text) > _MAX_CHARS:
        return None
    try:
        return str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, ValueError, RecursionError):
        return None
