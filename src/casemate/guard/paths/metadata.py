"""What images and mails say of themselves comes from outside: whoever made them chose it.

Most of it is found in their bytes. A text as short as `..` is not, nor is one that was compressed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from ..core import Guard
from ..sink import Patch
from ..standing import wrap_after

_TABLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "PIL.Image": ("image", ("open", "Image.getexif")),
    "PIL.PngImagePlugin": ("image", ("PngImageFile.load_end",)),
    "PIL.JpegImagePlugin": ("image", ("JpegImageFile._getexif",)),
    "piexif": ("image", ("load",)),
    "exifread": ("image", ("process_file",)),
    "email.message": ("mail", ("Message.get_filename",)),
}
"""By module: what is read, and by which functions."""
_MAX_TEXTS, _MAX_TEXT = 200, 1000


def patches() -> dict[str, Patch]:
    """Return the patches by module."""
    return {module: _patch(*entry) for module, entry in _TABLE.items()}


def _patch(source: str, functions: tuple[str, ...]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        def read(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
            if guard.active:
                held = result if result is not None else arguments[:1]
                found = list(itertools.islice(_texts(held), _MAX_TEXTS))
                if found:
                    guard.add(source, found)

        for path in functions:
            *steps, last = path.split(".")
            owner: Any = getattr(module, steps[0], None) if steps else module
            if owner is not None and callable(getattr(owner, last, None)):
                wrap_after(owner, last, read)

    return patch


def _texts(held: Any) -> Iterator[str | bytes]:
    """Yield the texts of what was read: of a mapping, of an image's own, of a tag."""
    todo = [held]
    for _ in range(_MAX_TEXTS):
        if not todo:
            return
        item = todo.pop()
        if isinstance(item, (str, bytes)):
            if not item.isalnum() and len(item) <= _MAX_TEXT:
                yield item
        elif isinstance(item, Mapping):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item[:_MAX_TEXTS]
        else:
            todo += (getattr(item, name) for name in ("info", "printable") if hasattr(item, name))
