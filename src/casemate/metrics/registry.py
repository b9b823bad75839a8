"""The figures of every function, of which there is a bounded number.

Whoever only names a function that does not exist makes none for it, and beyond MAX_FUNCTIONS all
others are counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from casemate.metrics.figures import Figures
from casemate.model.denial import Denial
from casemate.model.deployment import LIVE
from casemate.model.facts import AliasMoved, FunctionRemoved, GrantUsed, VersionDeployed

MAX_FUNCTIONS = 500
"""Functions that are told apart: each is some sixty lines of what Prometheus reads."""
MAX_TRIED = 100
"""Functions besides, that several versions share the calls of."""
OTHER = "other"
"""What stands for the function where none, or one too many, is meant; its project is empty."""
_CONNECT = "connect"


def _any(_project: str, _function: str) -> bool:
    return True


def _none(_project: str, _function: str) -> Collection[int]:
    return ()


class Registry:
    """One per gateway. On the event loop only."""

    def __init__(
        self,
        known: Callable[[str, str], bool] = _any,
        shared: Callable[[str, str], Collection[int]] = _none,
    ) -> None:
        """`known` tells whether there is such a function, `shared` by which versions."""
        self._known = known
        self._shared = shared
        self._figures: dict[tuple[str, str], Figures] = {}
        self.others = Figures("", OTHER)

    def of(self, project: str, function: str) -> Figures:
        """Return those of a function, to be counted in."""
        found = self._figures.get((project, function))
        return found if found is not None else self._new(project, function)

    def _new(self, project: str, function: str) -> Figures:
        if len(self._figures) >= MAX_FUNCTIONS or not self._known(project, function):
            return self.others
        found = self._figures[project, function] = Figures(project, function)
        found.share(self._shared(project, function))
        return found

    def __iter__(self) -> Iterator[Figures]:
        """Give those of each function, as they are now."""
        return iter(tuple(self._figures.values()))

    def ran(self) -> dict[tuple[str, str], float]:
        """Return for how many seconds each function has run."""
        return {key: figures.run.seconds for key, figures in self._figures.items()}

    def __len__(self) -> int:
        """Return how many functions are told apart."""
        return len(self._figures)

    def note_denial(self, denial: Denial) -> None:
        """Count a denial."""
        self.of(denial.project, denial.function).denied(denial.kind.value, denial.count)

    def note_use(self, use: GrantUsed) -> None:
        """Count a connection that was let through."""
        if use.action == _CONNECT:
            self.of(use.project, use.function).connections += use.count

    def note_move(self, moved: AliasMoved) -> None:
        """Count by version while several of them share the calls of a function."""
        if moved.alias != LIVE:
            return
        sharing = [version for version, share in moved.targets if share > 0]
        key = (moved.project, moved.function)
        figures = self._figures.get(key)
        if figures is None and len(sharing) > 1 and len(self) < MAX_FUNCTIONS + MAX_TRIED:
            # Told apart whatever others there are: somebody waits for what they say.
            figures = self._figures[key] = Figures(*key)
        if figures is not None:
            figures.share(sharing)

    def note_deploy(self, deployed: VersionDeployed) -> None:
        """Count by version no more: one has all calls, or it is told at once that it has not."""
        figures = self._figures.get((deployed.project, deployed.function))
        if figures is not None:
            figures.share(())

    def note_removal(self, removed: FunctionRemoved) -> None:
        """Forget a function that is gone, to make room for others."""
        if not removed.version:
            self._figures.pop((removed.project, removed.function), None)
