"""Contents of pages that are written back, one of each for all instances of a function.

Instances are forks of one process: two thirds of what their calls write on are pages that are alike
in all of them. One copy of those stays in the processor's caches, where one for each instance would
not. It is shared among instances of one zygote alone, whose pages nobody else's timing depends on.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from casemate.kernel.pagemap import PAGE
from casemate.restorer.ranges import Range


class Page:
    """The content of one page. It is let go with the last one that holds it."""

    __slots__ = ("__weakref__", "content")

    def __init__(self, content: bytes) -> None:
        """Hold `content`."""
        self.content = content


class KeptPages:
    """Those of one zygote's instances."""

    def __init__(self) -> None:
        """Begin with none."""
        self._pages: WeakValueDictionary[bytes, Page] = WeakValueDictionary()
        self.dropped: set[Range] = set()
        """Ranges of which one instance was found to have memory that the kernel may drop."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._pages)

    def of(self, data: bytearray) -> list[Page]:
        """Return the pages that `data` consists of."""
        return [self._one(bytes(data[at : at + PAGE])) for at in range(0, len(data), PAGE)]

    def _one(self, content: bytes) -> Page:
        page = self._pages.get(content)
        if page is None:
            page = self._pages[content] = Page(content)
        return page
