"""Which recordings there are, and which have to go: the oldest of who has the most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from casemate.model.recording import RecordingSummary

MAX_OF_FUNCTION = 100
MAX_OF_PROJECT_BYTES = 64 * 1024 * 1024
MAX_OF_NODE = 5000
MAX_OF_NODE_BYTES = 512 * 1024 * 1024


def held_by_nobody(_summary: RecordingSummary) -> bool:
    """Tell that a recording is under no hold."""
    return False


class Index:
    """The summaries of all recordings, in the order in which they were made."""

    def __init__(self, is_held: Callable[[RecordingSummary], bool] = held_by_nobody) -> None:
        """Begin with none; what `is_held` never has to go."""
        self._is_held = is_held
        self._by_id: dict[str, RecordingSummary] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_id)

    def add(self, summary: RecordingSummary) -> None:
        """Have one more, the newest."""
        self._by_id.pop(summary.id, None)
        self._by_id[summary.id] = summary

    def add_older(self, summaries: Iterable[RecordingSummary]) -> None:
        """Have more, of which some may be older than others that are here."""
        found = {each.id: each for each in summaries} | self._by_id
        self._by_id = {each.id: each for each in sorted(found.values(), key=_when)}

    def drop(self, identity: str) -> None:
        """Forget one."""
        self._by_id.pop(identity, None)

    def get(self, identity: str) -> RecordingSummary | None:
        """Return one, None if there is none."""
        return self._by_id.get(identity)

    def of_error(self, project: str, error: str) -> RecordingSummary | None:
        """Return that of the invocation that ended in an error, None if there is none."""
        return next((each for each in self.newest(project, None) if each.error_id == error), None)

    def newest(self, project: str | None, function: str | None) -> Iterator[RecordingSummary]:
        """Give those of a function, a project or the node, the newest first."""
        for each in reversed(self._by_id.values()):
            if project in (None, each.project) and function in (None, each.function):
                yield each

    def expired(self, now: float) -> list[str]:
        """Return those whose time is over."""
        return [
            each.id
            for each in self._by_id.values()
            if each.expires_at <= now and not self._is_held(each)
        ]

    def beyond(self, new: RecordingSummary, most_bytes: int) -> list[str]:
        """Return what has to go for a new one that is in already: of its function first."""
        of_function = list(self._free(new.project, new.function))
        gone = [each.id for each in of_function[MAX_OF_FUNCTION:]]
        gone += _over(of_function[:MAX_OF_FUNCTION], most_bytes)
        gone += _over(self._left(self._free(new.project, None), gone), MAX_OF_PROJECT_BYTES)
        gone += _beyond_node(self._left(self._free(None, None), gone))
        return list(dict.fromkeys(gone))

    def _free(self, project: str | None, function: str | None) -> Iterator[RecordingSummary]:
        return (each for each in self.newest(project, function) if not self._is_held(each))

    @staticmethod
    def _left(summaries: Iterable[RecordingSummary], gone: list[str]) -> Iterator[RecordingSummary]:
        away = set(gone)
        return (each for each in summaries if each.id not in away)


def _when(summary: RecordingSummary) -> float:
    return summary.at


def _beyond_node(newest: Iterable[RecordingSummary]) -> Iterator[str]:
    """Give what has to go for a node's bounds: the oldest of whoever has most of what is too much.

    A project with many small ones does not push out few large ones of another, nor the reverse.
    """
    of: dict[str, list[RecordingSummary]] = {}
    number, size = Counter[str](), Counter[str]()
    for each in newest:
        of.setdefault(each.project, []).append(each)
        number[each.project] += 1
        size[each.project] += each.size
    while True:
        if number.total() > MAX_OF_NODE:
            most = number
        elif size.total() > MAX_OF_NODE_BYTES:
            most = size
        else:
            return
        project = max(most, key=most.__getitem__)
        oldest = of[project].pop()
        number[project] -= 1
        size[project] -= oldest.size
        yield oldest.id


def _over(newest: Iterable[RecordingSummary], most: int) -> list[str]:
    """Return those, the newest first, with which the others have more than `most` bytes."""
    total, gone = 0, []
    for each in newest:
        total += each.size
        if total > most:
            gone.append(each.id)
    return gone
