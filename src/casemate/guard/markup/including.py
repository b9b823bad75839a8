"""What a tree includes by XInclude (W3C, 2006): files by their names in its elements.

A document of the event's may name those of the folder that the code has given it (`base_url`), if
that is one below the function's own: what lies there was put there for it.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ..core import Guard
from ..paths.judgement import inside, resolved
from .documents import INCLUDE, MAX_READ

MAX_INCLUDED = 1000
"""Elements that are looked at."""
_TAG = f"{{{INCLUDE}}}include"
_PLAIN = re.compile(r"[\w][\w. /-]{0,500}")
"""A name of a file in a folder or below: no scheme, nothing encoded, no parts to ask for."""


def has_includes(tree: Any) -> bool:
    """Tell whether a tree has elements that include something. What is none is taken to have."""
    try:
        return next(iter(tree.iter(_TAG)), None) is not None
    except (AttributeError, TypeError, ValueError):
        return True


def _chosen(guard: Guard, names: str) -> bool:
    """Tell whether names of folders may be the event's: lxml does not tell what they were."""
    texts = guard.taint.texts(MAX_READ) if guard.taint is not None else ()
    return guard.taint is None or any(len(t) > 1 and t in names for t, _ in texts)


def stays_below(guard: Guard, tree: Any) -> bool:
    """Tell whether a tree of lxml includes nothing, or what is in the code's folder for it alone.

    Without a folder of the document's own names are looked up in the working folder, where the
    function's source is.
    """
    if not has_includes(tree):
        return True
    base = getattr(getattr(tree, "docinfo", None), "URL", None)
    folder = os.path.dirname(base) if isinstance(base, str) else ""
    root = guard.root.rstrip("/")
    if folder == root or not inside(folder, root) or _chosen(guard, folder[len(root) :]):
        return False
    folder = resolved(folder)
    if not inside(folder, resolved(root)):
        return False
    for count, element in enumerate(tree.iter(_TAG)):
        # `xml:base` leads elsewhere.
        name = element.get("href", "")
        if count >= MAX_INCLUDED or element.base != base or _PLAIN.fullmatch(name) is None:
            return False
        if ".." in name.split("/") or not inside(resolved(f"{folder}/{name}"), folder):
            return False
    return True
