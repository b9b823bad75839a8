"""What is live: who gets the messages of a place, and who waits for the ends of a function's."""

from __future__ import annotations

from collections.abc import Mapping

from casemate.admission import Catalogue
from casemate.delivery.destinations import Waiting, waiting_for
from casemate.delivery.leased import Name, Place
from casemate.model.deployment import Version
from casemate.model.trigger import INBOX, QueueTrigger

QUEUE = "queue"
_NOBODY: Mapping[str, tuple[Waiting, ...]] = {}


class Consumers:
    """The functions and queues of one gateway, by the versions that are live."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Know nothing until `update`."""
        self._catalogue = catalogue
        self.projects: tuple[str, ...] = ()
        self.functions: set[Name] = set()
        self._queues: dict[tuple[str, str], tuple[str, str]] = {}
        """By project and queue: the function and the name of its trigger."""
        self._waiting: dict[str, dict[str, tuple[Waiting, ...]]] = {}
        """By project and function: who waits for the ends of its events."""

    def begin(self) -> None:
        """Take the functions there are for known: what waits for them is found otherwise."""
        self.functions = {(v.project, v.function) for v in self._catalogue.declaring()}

    def update(self) -> list[Place]:
        """Take over the triggers of the versions that are live now; return places that are new."""
        queues: dict[tuple[str, str], tuple[str, str]] = {}
        waiting: dict[str, dict[str, tuple[Waiting, ...]]] = {}
        by_project: dict[str, list[Version]] = {}
        functions: set[Name] = set()
        for version in self._catalogue.declaring():
            by_project.setdefault(version.project, []).append(version)
            if self._catalogue.is_quarantined(version.project, version.function):
                continue  # what is kept for it waits until it is among the functions again
            functions.add((version.project, version.function))
            for trigger in version.spec.triggers:
                if isinstance(trigger, QueueTrigger):
                    queues[version.project, trigger.queue] = (version.function, trigger.name)
        for project, versions in by_project.items():
            found = waiting_for([(v.function, v.spec.triggers) for v in versions])
            if found:
                waiting[project] = found
        known = self._queues
        new = [(project, QUEUE, name) for project, name in queues if (project, name) not in known]
        new += [(project, INBOX, name) for project, name in functions - self.functions]
        self.projects, self.functions = tuple(by_project), functions
        self._queues, self._waiting = queues, waiting
        return new

    def places(self) -> list[Place]:
        """Return every place that is consumed."""
        return [
            *((project, QUEUE, name) for project, name in self._queues),
            *((project, INBOX, name) for project, name in self.functions),
        ]

    def owner(self, place: Place) -> Name | None:
        """Return the function that a place's messages are for, None without one that is live."""
        project, kind, name = place
        if kind == INBOX:
            if self._catalogue.is_quarantined(project, name):
                return None
            return (project, name) if self._catalogue.find(project, name) is not None else None
        consumer = self._queues.get((project, name)) if kind == QUEUE else None
        return None if consumer is None else (project, consumer[0])

    def trigger(self, place: Place) -> str:
        """Return the name of the trigger that takes from a queue; empty for an inbox."""
        consumer = self._queues.get((place[0], place[2])) if place[1] == QUEUE else None
        return "" if consumer is None else consumer[1]

    def waiting(self, project: str, function: str) -> tuple[Waiting, ...]:
        """Return who waits for the ends of a function's events."""
        return self._waiting.get(project, _NOBODY).get(function, ())
