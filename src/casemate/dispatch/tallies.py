"""Counts how often processes are used again, for the owner of a function."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Sequence

from casemate.model.restoring import Discarded, Restoring
from casemate.restorer.reasons import change_for

_MOST_REASONS = 64
_MOST_PACKAGES = 4
_PACKAGE = re.compile(r"([A-Za-z0-9_]{1,64})(?:/|\.py\Z|\.[a-z0-9_.-]{1,64}\.so\Z)")
"""At the beginning of a file's path below the dependencies."""
_MOST_FUNCTIONS = 2000
"""Those that were not called for longest are forgotten."""
_OTHER = "for other reasons"


class Tally:
    """The figures of one function, of bounded size."""

    __slots__ = ("_digest", "forks", "late_modules", "late_packages", "reasons", "restored")

    def __init__(self) -> None:
        """Start at nothing."""
        self.restored = 0
        self.forks = 0
        self.reasons: Counter[str] = Counter()
        self._digest = ""
        self.late_modules = 0
        self.late_packages: tuple[str, ...] = ()

    def discard(self, reason: str) -> bool:
        """Count a process that is not used again; tell whether the reason is a new one."""
        if reason not in self.reasons and len(self.reasons) >= _MOST_REASONS:
            reason = _OTHER
        self.reasons[reason] += 1
        return self.reasons[reason] == 1

    def follow(self, digest: str) -> None:
        """Take it that another bundle is called from now on, if it is another one."""
        if digest != self._digest:
            self._digest, self.late_modules, self.late_packages = digest, 0, ()

    def imported_late(self, digest: str, files: Sequence[str]) -> None:
        """Note which files of dependencies a call has imported, by its own word."""
        if digest != self._digest:
            return
        packages = Counter(found[1] for file in files if (found := _PACKAGE.match(file)))
        self.late_modules = len(files)
        self.late_packages = tuple(name for name, _ in packages.most_common(_MOST_PACKAGES))

    def counts(self) -> tuple[int, int, int]:
        """Return how many were restored, discarded and forked."""
        return self.restored, self.reasons.total(), self.forks

    def told(self) -> Restoring:
        """Return them as they are told."""
        return Restoring(
            restored=self.restored,
            discarded=self.reasons.total(),
            forks=self.forks,
            reasons=tuple(
                Discarded(reason=reason, count=count, change=change_for(reason))
                for reason, count in self.reasons.most_common()
            ),
            late_modules=self.late_modules,
            late_packages=self.late_packages,
        )


class Tallies:
    """Those of a node, by project and function."""

    def __init__(self) -> None:
        """Know none."""
        self._by_name: OrderedDict[tuple[str, str], Tally] = OrderedDict()

    def of(self, project: str, function: str) -> Tally:
        """Return that of a function, to be counted in."""
        tally = self._by_name.setdefault((project, function), Tally())
        self._by_name.move_to_end((project, function))
        if len(self._by_name) > _MOST_FUNCTIONS:
            self._by_name.popitem(last=False)
        return tally

    def counts(self, project: str, function: str) -> tuple[int, int, int]:
        """Return how many were restored, discarded and forked, without the reasons."""
        tally = self._by_name.get((project, function))
        return (0, 0, 0) if tally is None else tally.counts()

    def told(self, project: str, function: str) -> Restoring:
        """Return the figures of a function, zeros if it was not called."""
        tally = self._by_name.get((project, function))
        return Restoring() if tally is None else tally.told()
