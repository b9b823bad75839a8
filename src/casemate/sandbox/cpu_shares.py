"""Every project has the same weight when the CPU is short, however many functions it runs.

The kernel's scheduler shares by the weight of control groups, and a zygote's group holds all its
instances: what one function runs at once does not make its share larger. A function with two
versions, or with an old zygote that still serves, has its weight divided between them, and the
functions of a project that are called at the same time divide that of the project: the gateway
tells how many they are.
"""

from __future__ import annotations

import contextlib

from casemate.kernel.cgroups import Driver

Function = tuple[str, str]
"""Project and name."""


class CpuShares:
    """Weighs the groups of zygotes."""

    def __init__(self, cgroups: Driver | None) -> None:
        """Weigh groups of `cgroups`; without control groups there is nothing to weigh."""
        self._cgroups = cgroups
        self._functions: dict[str, Function] = {}
        self._zygotes: dict[Function, list[str]] = {}
        self._parts: dict[str, int] = {}
        """Of how many functions at work in its project a zygote's is one."""

    def add(self, zygote: str, function: Function) -> None:
        """Weigh the group of a zygote that now belongs to a function. Raises OSError."""
        self._functions[zygote] = function
        zygotes = self._zygotes.setdefault(function, [])
        zygotes.append(zygote)
        self._weigh(zygotes)

    def divide(self, zygote: str, parts: int) -> None:
        """Give a zygote's function one of `parts` of its project's weight."""
        function = self._functions.get(zygote)
        if function is not None:
            self._parts[zygote] = parts
            with contextlib.suppress(OSError):  # it may be ending
                self._weigh(self._zygotes[function])

    def remove(self, zygote: str) -> None:
        """Give the weight of a zygote that has ended to the others of its function."""
        function = self._functions.pop(zygote, None)
        self._parts.pop(zygote, None)
        if function is None:
            return
        zygotes = self._zygotes[function]
        zygotes.remove(zygote)
        if not zygotes:
            del self._zygotes[function]
        with contextlib.suppress(OSError):  # one of them may be ending too
            self._weigh(zygotes)

    def _weigh(self, zygotes: list[str]) -> None:
        if self._cgroups is not None:
            for zygote in zygotes:
                parts = self._parts.get(zygote, 1)
                self._cgroups.weigh(zygote, 1 / (len(zygotes) * parts))
