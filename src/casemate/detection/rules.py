"""Rules together: each is there once, what they name is there, and what to try on what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from casemate.detection.errors import RuleError, refused
from casemate.detection.fields import PATHS, Event, getter, text_of
from casemate.detection.reading import Read, read_rules
from casemate.detection.rule import About, Correlation, Filter, Rule
from casemate.detection.selections import Check
from casemate.model.errors import NotFoundError

MAX_RULES = 1000
MAX_CORRELATIONS = 300
"""Each keeps what it has seen of many entities in memory."""


class Rules:
    """Rules that fit together, compiled. Nothing of it changes."""

    def __init__(self, read: Iterable[Read]) -> None:
        """Put them together. Raises RuleError."""
        found = _all(read)
        self._named: dict[str, Rule | Correlation] = {}
        filters = [one for one in found if isinstance(one, Filter)]
        self.rules = tuple(one for one in found if isinstance(one, Rule))
        self.correlations = _ordered([one for one in found if isinstance(one, Correlation)])
        self._both: tuple[Rule | Correlation, ...] = (*self.rules, *self.correlations)
        for one in self._both:
            self._named[one.about.name] = self._named[one.about.id] = one
        self.used = tuple(
            tuple(dict.fromkeys(self.named(name, one.about.place).about.name for name in one.rules))
            for one in self.correlations
        )
        """For each correlation the names of the rules that it looks at."""
        self.users = self._users()
        """By a rule's name the places (in `correlations`) of those that look at its events."""
        self.told = frozenset(self._told())
        """Names of those that make findings; the others are parts of correlations."""
        self._checks = self._filtered(filters)
        self._always, self._index = self._indexed()

    def named(self, name: str, place: str = "") -> Rule | Correlation:
        """Return a rule by name or id. Raises NotFoundError; RuleError where a place is given."""
        found = self._named.get(name)
        if found is not None:
            return found
        if place:
            raise refused(place, f"there is no rule {name[:100]!r}")
        raise NotFoundError(
            f"There is no rule {name[:100]!r}.",
            next_step="`casemate detect ls` shows those that come with Casemate; one of your own "
            "needs --rules FILE.",
        )

    def reporting(self) -> list[About]:
        """Return what those that make findings say of themselves, by name."""
        found = [one.about for one in self._both]
        return sorted((one for one in found if one.name in self.told), key=lambda one: one.name)

    def only(self, name: str) -> Rules:
        """Return one rule alone, with what it looks at."""
        first = self.named(name)
        if first.about.name not in self.told:
            raise NotFoundError(
                f"{first.about.name} is a part of correlations, and reports nothing by itself.",
                next_step="See what is: casemate detect ls",
            )
        wanted, waiting = dict[str, Rule | Correlation](), [first]
        while waiting:
            one = waiting.pop()
            wanted[one.about.name] = one
            if isinstance(one, Correlation):
                waiting += [self.named(each) for each in one.rules]
        checked = dict(zip((rule.about.name for rule in self.rules), self._checks, strict=True))
        return Rules(
            Rule(about=one.about, check=checked[key], anchors=one.anchors, entity=one.entity)
            if isinstance(one, Rule)
            else one
            for key, one in wanted.items()
        )

    def matching(self, event: Event) -> list[Rule]:
        """Return the rules that match an event."""
        tried = list(self._always)
        for get, by_text in self._index:
            text = text_of(get(event))
            if text is not None:
                tried += by_text.get(text.lower(), ())
        return [self.rules[at] for at in tried if self._checks[at](event)]

    def _users(self) -> dict[str, list[int]]:
        users: dict[str, list[int]] = {}
        for place, used in enumerate(self.used):
            for name in used:
                users.setdefault(name, []).append(place)
        return users

    def _told(self) -> Iterator[str]:
        """Yield the names of what no correlation uses, or one that has them told of, too."""
        for one in self._both:
            users = [self.correlations[place] for place in self.users.get(one.about.name, ())]
            if users and not any(user.generate for user in users):
                continue
            if one.about.level is None:
                raise refused(one.about.place, "a rule that reports findings needs a `level`")
            yield one.about.name

    def _filtered(self, filters: Sequence[Filter]) -> list[Check]:
        """Return the rules' checks, each with all filters of it: both have to hold."""
        by_rule: dict[str, list[Check]] = {}
        for each in filters:
            names = [rule.about.name for rule in self.rules]
            if each.rules is not None:
                used = [self.named(name, each.about.place) for name in each.rules]
                if any(isinstance(one, Correlation) for one in used):
                    raise refused(each.about.place, "a filter names no correlation", "its rules")
                names = [one.about.name for one in used]
            for name in dict.fromkeys(names):
                by_rule.setdefault(name, []).append(each.check)
        return [_with(rule.check, by_rule.get(rule.about.name, [])) for rule in self.rules]

    def _indexed(
        self,
    ) -> tuple[list[int], list[tuple[Callable[[Event], object], dict[str, list[int]]]]]:
        """Return which rules to try always, and which for what text of which field."""
        always: list[int] = []
        by_path: dict[str, dict[str, list[int]]] = {}
        for at, rule in enumerate(self.rules):
            if not rule.anchors:
                always.append(at)
                continue
            anchor = rule.anchors[0]
            for text in anchor.texts:
                by_path.setdefault(anchor.path, {}).setdefault(text, []).append(at)
        return always, [(getter(path, path), by_path[path]) for path in PATHS if path in by_path]


def _with(check: Check, filters: list[Check]) -> Check:
    if not filters:
        return check
    return lambda event: check(event) and all(each(event) for each in filters)


def _all(read: Iterable[Read]) -> list[Read]:
    found: list[Read] = []
    names: dict[str, str] = {}
    correlations = 0
    for one in read:
        about = one.about
        for name in {about.name, about.id}:
            if name in names:
                raise refused(about.place, f"{name!r} is there already: {names[name]}")
            names[name] = about.place
        found.append(one)
        correlations += isinstance(one, Correlation)
        if len(found) > MAX_RULES or correlations > MAX_CORRELATIONS:
            raise refused(
                about.place,
                f"there are more than {MAX_RULES} rules or {MAX_CORRELATIONS} correlations",
            )
    return found


def _ordered(found: list[Correlation]) -> tuple[Correlation, ...]:
    """Return correlations so that each comes after those it uses. Raises RuleError for a cycle."""
    named = {name: one for one in found for name in (one.about.name, one.about.id)}
    waiting = list(found)
    done: dict[str, Correlation] = {}
    while waiting:
        left = []
        for one in waiting:
            used = {named[name].about.name for name in one.rules if name in named}
            if used <= done.keys():
                done[one.about.name] = one
            else:
                left.append(one)
        if len(left) == len(waiting):
            names = ", ".join(one.about.name for one in left[:4])
            raise refused(left[0].about.place, f"correlations use each other in a circle: {names}")
        waiting = left
    return tuple(done.values())


def rules_of(*texts: tuple[bytes | str, str]) -> Rules:
    """Return the rules of texts, each with the name that errors tell. Raises RuleError."""
    return Rules(one for data, name in texts for one in read_rules(data, name))


__all__ = ["RuleError", "Rules", "rules_of"]
