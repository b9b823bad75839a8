"""The base zygotes of a node: which function is forked from which, and for how long.

All that is forked from one base zygote has its layout of memory and its seed of hashes. So there
are several for each interpreter, projects are spread over them, each is replaced on a schedule, and
a function can have one alone. They are made when they are first needed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator

from casemate.model.errors import UnavailableError
from casemate.model.function import Layout as Kind
from casemate.sandbox import protocol
from casemate.sandbox.base_process import START_SECONDS, BaseProcess
from casemate.sandbox.zygote_process import ZygoteProcess

LAYOUTS = 4
"""Base zygotes that the projects of one interpreter are spread over."""
LAYOUT_SECONDS = 600.0
"""How long a base zygote takes new zygotes. One that serves goes on until it ends by itself."""
AGAIN_SECONDS = 10.0
"""After which another try follows on one that came to nothing."""
LEAST_SECONDS = 100.0
"""How long at least, however many zygotes ask for another layout than theirs."""
MOST_AT_ONCE = 8
"""Base zygotes of one key, those included that are retired and serve: each is some 20 MB. When
there are so many, only those that are too old are replaced."""
MAX_WAITING = 1024
"""Zygotes that may wait for one base zygote to start."""
MAX_OWN, MAX_OWN_OF_PROJECT = 32, 4
"""Functions of a node, and of one project, that have a base zygote alone: each is some 20 MB that
no function's limit counts."""
Key = tuple[str, str]
"""Minor version, and the number of a shared layout or the function that has it alone."""
FIRST = "0"


class Layout:
    """One base zygote, and what was made of it ahead: blank zygotes, detached mounts."""

    def __init__(self, key: Key, base: BaseProcess) -> None:
        """Start with nothing made of it."""
        self.key = key
        self.base = base
        self.blanks: deque[ZygoteProcess] = deque()
        self.zygotes: set[ZygoteProcess] = set()
        """All that live and were forked from it, blank ones too."""
        self.waiting: deque[tuple[protocol.Open, list[int]]] = deque()
        """Zygotes asked for before it was ready, with the descriptors that came along."""
        self.used = False
        """Whether a function's zygote was made of it: else nobody can know anything of it."""
        self.retired = False
        self.outdated = False
        """Whether what it runs with was replaced on disk: it is to be replaced as well."""
        self.told: set[ZygoteProcess] = set()
        """Zygotes of it of which the gateway was told that they are to be replaced."""
        self.again_at = 0.0
        """When to try again to replace it."""
        self.on_short: Callable[[Layout], None] = lambda _: None
        """Told that some of what was made ahead is nearly used up."""
        self._tmpfs: dict[int, list[int]] = {}
        self._short: dict[int, int] = {}
        """Sizes of which few are left, and how many there are to be."""

    @property
    def minor(self) -> str:
        """The version of its interpreter."""
        return self.key[0]

    @property
    def shared(self) -> bool:
        """True if it belongs to no function alone."""
        return self.key[1].isdigit()

    def take_tmpfs(self, size: int, batch: int) -> int:
        """Return a descriptor of a fresh tmpfs, made in batches."""
        pool = self._tmpfs.setdefault(size, [])
        if not pool:
            pool += self.base.tmpfs(size, batch)
        taken = pool.pop()
        if 2 * len(pool) <= batch and size not in self._short:
            self._short[size] = batch
            self.on_short(self)
        return taken

    def refill_tmpfs(self) -> None:
        """Make what few are left of, while nobody waits for it. Raises OSError, CasemateError."""
        while self._short:
            size, batch = self._short.popitem()
            pool = self._tmpfs.setdefault(size, [])
            pool += self.base.tmpfs(size, batch - len(pool))

    def cancel(self, number: int) -> bool:
        """Let go of a zygote that waits, if it waits here."""
        for request, descriptors in self.waiting:
            if request.z == number:
                self.waiting.remove((request, descriptors))
                for descriptor in descriptors:
                    os.close(descriptor)
                return True
        return False

    def close(self) -> None:
        """End the base zygote and release what was made of it."""
        self.base.close()
        for descriptors in self._tmpfs.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._tmpfs.clear()


class Layouts:
    """Keeps the layouts of a node. `start` starts one, which becomes ready later."""

    def __init__(self, start: Callable[[Key], Layout]) -> None:
        """Start with none."""
        self._start = start
        self._current: dict[Key, Layout] = {}
        self._next: dict[Key, Layout] = {}
        self._retired: list[Layout] = []
        self._homes: dict[str, dict[str, str]] = {}

    def __iter__(self) -> Iterator[Layout]:
        """Go through all that live, those that start and those that are retired too."""
        yield from [*self._current.values(), *self._next.values(), *self._retired]

    def key_of(self, request: protocol.Open) -> Key:
        """Return which layout a function's zygotes are made of."""
        if request.layout is Kind.OWN:
            return request.python, f"{request.project}/{request.function}"
        return self.home_of(request.python, request.project)

    def home_of(self, minor: str, project: str) -> Key:
        """Return the layout that a project's functions share with others."""
        homes = self._homes.setdefault(minor, {})
        if project not in homes:
            counts = [0] * LAYOUTS
            for home in homes.values():
                counts[int(home)] += 1
            homes[project] = str(counts.index(min(counts)))
        return minor, homes[project]

    def get(self, key: Key) -> Layout:
        """Return the layout that new zygotes are made of, started if need be. May raise."""
        layout = self._current.get(key)
        if layout is None:
            if not key[1].isdigit():
                self._require_room(key[1].partition("/")[0])
            layout = self._current[key] = self._start(key)
        return layout

    def _require_room(self, project: str) -> None:
        own = {layout.key for layout in self if not layout.shared}  # one that is replaced is one
        owners = [function.partition("/")[0] for _, function in own]
        if len(owners) >= MAX_OWN or owners.count(project) >= MAX_OWN_OF_PROJECT:
            raise UnavailableError(
                f"A node has {MAX_OWN} and a project {MAX_OWN_OF_PROJECT} functions with layout = "
                '"own" running at a time; there is no room for one more.',
                next_step='Leave out layout = "own", or call it when others are at rest.',
            )

    def renew(self, now: float) -> None:
        """Start what is to replace those that are too old; see `promote`. May raise."""
        for key, layout in list(self._current.items()):
            old = layout.outdated or now - layout.base.started_at >= LAYOUT_SECONDS
            if not (old and layout.base.ready) or key in self._next or now < layout.again_at:
                continue
            self._forget_homes(layout)
            serves = len(layout.zygotes) > len(layout.blanks)
            if serves or (key[1] == FIRST and (layout.used or layout.outdated)):
                # Whatever it runs with may be in the middle of being replaced.
                layout.again_at = now + AGAIN_SECONDS
                self._next[key] = self._start(key)
            elif key[1] != FIRST:
                self._retire(key)

    def other_than(self, used: Layout, key: Key, now: float) -> Layout:
        """Return a layout for new zygotes that is not `used`, started if need be. May raise.

        If that is as good as new, or there are many, it is returned after all.
        """
        current = self.get(key)
        if current is not used or not current.base.ready:
            return current
        if key not in self._next:
            many = sum(layout.key == key for layout in self) >= MOST_AT_ONCE
            if many or now - current.base.started_at < LEAST_SECONDS:
                return current
            self._next[key] = self._start(key)
        return self._next[key]

    def follows(self, layout: Layout) -> bool:
        """Tell whether a layout is to take the place of one that is there."""
        return self._next.get(layout.key) is layout

    def promote(self, layout: Layout) -> None:
        """Have new zygotes made of a layout, now that it is ready."""
        if self._next.get(layout.key) is layout:
            del self._next[layout.key]
            self._retire(layout.key)
            self._current[layout.key] = layout

    def _retire(self, key: Key) -> None:
        layout = self._current.pop(key, None)
        if layout is not None:
            layout.retired = True
            self._retired.append(layout)

    def _forget_homes(self, layout: Layout) -> None:
        """Let go of projects that have nothing running, so that there are never many of them."""
        homes = self._homes.get(layout.minor, {})
        alive = {zygote.project for zygote in layout.zygotes}
        for project in [p for p, home in homes.items() if home == layout.key[1]]:
            if project not in alive:
                del homes[project]

    def drop(self, layout: Layout) -> None:
        """Forget a layout whose base zygote has ended."""
        for layouts in (self._current, self._next):
            if layouts.get(layout.key) is layout:
                del layouts[layout.key]
        if layout in self._retired:
            self._retired.remove(layout)

    def unused(self) -> list[Layout]:
        """Return those that nothing needs any more: retired, or one function's without zygotes."""
        own = [
            layout
            for layout in self._current.values()
            if not layout.shared and layout.base.ready and not layout.waiting
        ]
        return [
            layout for layout in [*self._retired, *own] if len(layout.zygotes) <= len(layout.blanks)
        ]

    def overdue(self) -> list[Layout]:
        """Return those that should have become ready by now, or have ended."""
        now = time.monotonic()
        return [
            layout
            for layout in self
            if layout.base.process.poll() is not None
            or (not layout.base.ready and now - layout.base.started_at > START_SECONDS)
        ]
