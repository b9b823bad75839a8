"""Reads rules, correlations and filters of Sigma out of YAML, and refuses what is not matched here.

Everything is refused by name and with its place: a rule that is half understood would be silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from casemate.detection import condition as conditions
from casemate.detection.anchors import anchors_of
from casemate.detection.documents import Map, read_documents
from casemate.detection.errors import refused
from casemate.detection.fields import Get, getter
from casemate.detection.rule import About, Correlation, CorrelationType, Filter, Rule
from casemate.detection.selections import Check, both, either, selection
from casemate.model.level import Level

MAX_SELECTIONS = 32
MAX_NAMED = 64
"""Rules that one correlation or filter names, fields of a group, tags."""
MAX_SECONDS = 7 * 86_400
ORDERED = 2
"""Rules of a `temporal_ordered`: of which one comes before the other."""
MAX_LEAST = 1_000_000
"""Events that a correlation counts up to."""
MAX_DIFFERENT = 256
"""Different values that a correlation counts up to: each of them is remembered."""

MAX_EXPRESSIONS = 200
"""Of one text. Each takes memory, and up to milliseconds to compile."""

PRODUCT = "casemate"
ENTITY = ("actor.user.name", "src_endpoint.ip")
"""What a finding is about where a rule has no `fields`."""

_ABOUT = frozenset(
    (
        *("id", "name", "title", "description", "status", "level", "tags", "falsepositives"),
        *("author", "date", "modified", "references", "related", "license", "logsource"),
    )
)
_OF_RULE = _ABOUT | {"detection", "fields"}
_OF_CORRELATION = (_ABOUT | {"correlation"}) - {"logsource"}
_OF_FILTER = _ABOUT | {"filter"}
_IN_CORRELATION = frozenset(("type", "rules", "group-by", "timespan", "condition", "generate"))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SPAN = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Read = Rule | Correlation | Filter


def read_rules(data: bytes | str, name: str) -> Iterator[Read]:
    """Yield the rules, correlations and filters of a text. Raises RuleError."""
    documents = read_documents(data, name)
    if sum(map(_expressions, documents)) > MAX_EXPRESSIONS:
        raise refused(name, f"there are more than {MAX_EXPRESSIONS} expressions (`re`) in it")
    for document in documents:
        if "detection" in document:
            yield _rule(document)
        elif "correlation" in document:
            yield _correlation(document)
        elif "filter" in document:
            yield _filter(document)
        else:
            raise refused(
                document.place, "a rule has `detection`, `correlation` or `filter`, this has none"
            )


def _expressions(value: Any) -> int:
    """Count the expressions in a document. It is not nested deeply: that was looked at."""
    if isinstance(value, Map):
        return sum(
            (len(each) if isinstance(each, list) else 1)
            if "re" in key.split("|")[1:]
            else _expressions(each)
            for key, each in value.items()
        )
    return sum(map(_expressions, value)) if isinstance(value, list) else 0


def _only(found: Map, known: frozenset[str]) -> None:
    for key in found:
        if key not in known:
            raise refused(found.place_of(key)[:200], "this is not read here", "leave it out")


def _about(found: Map) -> About:
    name = _text(found, "name", found.get("id"))
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise refused(found.place, "a rule needs an `id`, or a `name` of letters, digits, `-`, `_`")
    identity = _text(found, "id", name)
    level = found.get("level")
    if level is not None and level not in tuple(Level):
        raise refused(found.place_of("level"), f"the level is one of {', '.join(Level)}")
    return About(
        id=identity,
        name=name,
        title=_text(found, "title"),
        description=_text(found, "description", "").strip(),
        level=Level(level) if level is not None else None,
        tags=_texts(found, "tags"),
        falsepositives=_texts(found, "falsepositives"),
        place=found.place,
    )


def _text(found: Map, key: str, default: Any = None) -> str:
    value = found.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise refused(found.place_of(key), "a text is expected here")
    return value


def _texts(found: Map, key: str) -> tuple[str, ...]:
    value = found.get(key, [])
    listed = [value] if isinstance(value, str) else value
    if (
        not isinstance(listed, list)
        or len(listed) > MAX_NAMED
        or not all(isinstance(one, str) and one for one in listed)
    ):
        raise refused(found.place_of(key), f"at most {MAX_NAMED} texts are expected here")
    return tuple(listed)


def _map(found: Map, key: str) -> Map:
    value = found.get(key)
    if not isinstance(value, Map):
        raise refused(found.place_of(key), "a map is expected here")
    return value


def _source(found: Map) -> None:
    source = _map(found, "logsource")
    if source.get("product") != PRODUCT:
        raise refused(
            found.place_of("logsource"),
            f"the product is {str(source.get('product'))[:64]!r}, not `{PRODUCT}`",
            "only events of the journal are matched",
        )
    _only(source, frozenset(("product", "definition")))


def _entity(found: Map, key: str, default: tuple[str, ...] = ()) -> tuple[tuple[str, Get], ...]:
    paths = _texts(found, key) or default
    place = found.place_of(key)
    return tuple((path, getter(path, place)) for path in paths)


# -- rules of single events ----------------------------------------------------------------------


def _rule(found: Map) -> Rule:
    _only(found, _OF_RULE)
    about = _about(found)
    _source(found)
    detection = _map(found, "detection")
    check, anchors = _detection(detection, found.place_of("detection"))
    about = msgspec.structs.replace(about, hours=_asks_hours(detection))
    return Rule(about=about, check=check, anchors=anchors, entity=_entity(found, "fields", ENTITY))


def _asks_hours(detection: Map) -> bool:
    listed = [each if isinstance(each, list) else [each] for each in detection.values()]
    maps = [one for each in listed for one in each if isinstance(one, Map)]
    return any("hour" in key.split("|")[1:] for one in maps for key in one)


def _detection(found: Map, place: str) -> tuple[Check, Any]:
    if "timeframe" in found:
        raise refused(found.place_of("timeframe"), "this is not matched", "write a correlation")
    text = _text(found, "condition")
    names = [name for name in found if name != "condition"]
    if not 0 < len(names) <= MAX_SELECTIONS:
        raise refused(place, f"a detection has 1 to {MAX_SELECTIONS} selections")
    for name in names:
        if not conditions.is_name(name):
            raise refused(found.place_of(name), "a selection is not called so")
    parsed = conditions.parse(text, names, found.place_of("condition"))
    checks = {name: selection(found[name], found.place_of(name)) for name in names}
    return compiled(parsed, checks), anchors_of(parsed, found)


def compiled(condition: conditions.Condition, checks: dict[str, Check]) -> Check:
    """Return the test that a condition is of the tests of its selections."""
    match condition:
        case conditions.Name(name):
            return checks[name]
        case conditions.Not(inner):
            check = compiled(inner, checks)
            return lambda event: not check(event)
        case conditions.Both(parts):
            return both([compiled(part, checks) for part in parts])
        case conditions.Either(parts):
            return either([compiled(part, checks) for part in parts])


# -- rules of several ----------------------------------------------------------------------------


def _correlation(found: Map) -> Correlation:
    _only(found, _OF_CORRELATION)
    about = _about(found)
    if about.level is None:
        raise refused(found.place, "a correlation needs a `level`")
    inner = _map(found, "correlation")
    if "aliases" in inner:
        raise refused(inner.place_of("aliases"), "aliases of fields are not matched here")
    _only(inner, _IN_CORRELATION)
    named = inner.get("type")
    if named not in tuple(CorrelationType):
        known = ", ".join(CorrelationType)
        raise refused(
            inner.place_of("type"), f"{str(named)[:32]!r} is not matched here, but {known}"
        )
    rules = _texts(inner, "rules")
    if not rules:
        raise refused(inner.place, "a correlation names its `rules`")
    kind = CorrelationType(named)
    least, field = _least(inner, kind, len(rules))
    generate = inner.get("generate", False)
    if not isinstance(generate, bool):
        raise refused(inner.place_of("generate"), "true or false is expected here")
    return Correlation(
        about=about,
        type=kind,
        rules=rules,
        entity=_entity(inner, "group-by"),
        seconds=_seconds(inner),
        least=least,
        field=field,
        generate=generate,
    )


def _seconds(found: Map) -> float:
    span = _SPAN.fullmatch(_text(found, "timespan"))
    seconds = int(span[1]) * _UNITS[span[2]] if span is not None else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise refused(
            found.place_of("timespan"),
            f"a time of at most {MAX_SECONDS // 86_400} days is expected",
            "such as 30s, 10m, 2h or 7d",
        )
    return float(seconds)


def _least(found: Map, kind: CorrelationType, rules: int) -> tuple[int, Get | None]:
    """Return how many are a match, and the field whose values are counted."""
    if kind.of_rules:
        if "condition" in found:
            raise refused(found.place_of("condition"), f"`{kind}` has no condition: all rules")
        if kind is CorrelationType.TEMPORAL_ORDERED and rules != ORDERED:
            raise refused(
                found.place_of("rules"), f"`{kind}` has {ORDERED} rules, one before the other"
            )
        return rules, None
    condition = _map(found, "condition")
    place = found.place_of("condition")
    counts_values = kind is CorrelationType.VALUE_COUNT
    _only(condition, frozenset(("gt", "gte", "field") if counts_values else ("gt", "gte")))
    bounds = [key for key in ("gt", "gte") if key in condition]
    if len(bounds) != 1 or type(condition[bounds[0]]) is not int:
        raise refused(place, "one of `gt` and `gte`, with a number, is expected here")
    least = condition[bounds[0]] + (bounds[0] == "gt")
    most = MAX_DIFFERENT if counts_values else MAX_LEAST
    if not 1 <= least <= most:
        raise refused(place, f"1 to {most} are counted")
    if not counts_values:
        return least, None
    return least, getter(_text(condition, "field"), condition.place_of("field"))


def _filter(found: Map) -> Filter:
    _only(found, _OF_FILTER)
    about = _about(found)
    _source(found)
    inner = _map(found, "filter")
    rules = _texts(inner, "rules")
    if not rules:
        raise refused(inner.place, "a filter names its `rules`, or `any`")
    rest = Map(inner.place)
    for key, value in inner.items():
        if key != "rules":
            rest.put(key, value, inner.place_of(key).partition(" ")[0])
    check, _ = _detection(rest, found.place_of("filter"))
    return Filter(about=about, rules=None if rules == ("any",) else rules, check=check)
