"""Trees of documents, by their types."""

from __future__ import annotations

import re

_LXML = re.compile(r"lxml(?:\.|$)")
_TREES = ("xml.etree.ElementTree", "xml.etree.cElementTree")


def is_of_tree(kind: type) -> bool:
    """Tell whether a type, or one that it is derived from, is one of an XML library."""
    return any(
        base.__module__ in _TREES or _LXML.match(base.__module__ or "")
        for base in kind.__mro__
        if isinstance(base.__module__, str)
    )
