"""Makes a test of a selection: fields that all hold, or a list of such of which one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casemate.detection import values
from casemate.detection.documents import Map
from casemate.detection.errors import refused
from casemate.detection.fields import PATHS, Event, Get, getter, text_of

MAX_FIELDS = 32
"""Fields of one map."""
MAX_MAPS = 64
"""Maps of one selection."""
MAX_VALUES = 1000
"""Values of one field."""

Check = Callable[[Event], bool]

_FLAGS = frozenset("ims")
_ALONE = frozenset(("re", "cidr", "exists", "fieldref", *values.NUMBERS, *values.TEXTS))
_KNOWN = _ALONE | _FLAGS | {"all", "cased", "hour"}


def selection(found: Any, place: str) -> Check:
    """Return the test of a selection. Raises RuleError."""
    if isinstance(found, Map):
        return _map(found)
    if isinstance(found, list) and found and all(isinstance(one, Map) for one in found):
        if len(found) > MAX_MAPS:
            raise refused(place, f"it has more than {MAX_MAPS} maps")
        checks = [_map(one) for one in found]
        return checks[0] if len(checks) == 1 else either(checks)
    raise refused(
        place,
        "a selection is a map of fields, or a list of such; words without a field are not matched",
    )


def either(checks: list[Check]) -> Check:
    """Return the test for one of them."""
    if len(checks) == 2:
        first, second = checks
        return lambda event: first(event) or second(event)

    def check(event: Event) -> bool:
        for each in checks:  # noqa: SIM110 - a generator costs more than the checks
            if each(event):
                return True
        return False

    return check


def both(checks: list[Check]) -> Check:
    """Return the test for all of them, asked in order."""
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda event: first(event) and second(event)

    def check(event: Event) -> bool:
        for each in checks:  # noqa: SIM110 - a generator costs more than the checks
            if not each(event):
                return False
        return True

    return check


def _map(found: Map) -> Check:
    if not 0 < len(found) <= MAX_FIELDS:
        raise refused(found.place, f"a selection has 1 to {MAX_FIELDS} fields, got {len(found)}")
    # What told that the rule is to be tried at all is true of the event: the rest is asked first.
    keys = sorted(found, key=lambda key: key.partition("|")[0] in PATHS)
    return both([_field(key, found[key], found.place_of(key)) for key in keys])


def _listed(value: Any, place: str) -> list[Any]:
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= MAX_VALUES:
        raise refused(place, f"a field has 1 to {MAX_VALUES} values, got {len(listed)}")
    if any(isinstance(one, list | dict) for one in listed):
        raise refused(place, "a value is a text, a number, true, false or null")
    return listed


def _field(key: str, value: Any, place: str) -> Check:
    path, *modifiers = key.split("|")
    for modifier in modifiers:
        if modifier not in _KNOWN:
            raise refused(place, f"the modifier `{modifier[:32]}` is not matched here")
    if len(set(modifiers)) != len(modifiers):
        raise refused(place, "a modifier stands there twice")
    given = set(modifiers)
    kinds = given & _ALONE
    if len(kinds) > 1 or (given & _FLAGS and kinds != {"re"}):
        raise refused(place, f"the modifiers {'|'.join(modifiers)} do not go together")
    kind = kinds.pop() if kinds else ""
    if "cased" in given and kind not in {"", "fieldref", *values.TEXTS}:
        raise refused(place, f"`cased` does not go with `{kind}`")
    if "hour" in given and (kind not in {"", *values.NUMBERS} or "all" in given):
        raise refused(place, "`hour` goes with numbers alone")
    get = getter(path, place)
    if kind == "exists":
        return _exists(get, value, place)
    if kind == "fieldref":
        return _same(get, value, place, cased="cased" in given)
    listed = _listed(value, place)
    if "hour" in given:
        get = _hours(get)
    return _check(get, kind, listed, given, place)


def _check(get: Get, kind: str, listed: list[Any], given: set[str], place: str) -> Check:
    if "all" in given:
        if len(listed) < 2:
            raise refused(place, "`all` takes a list of two or more")
        return both([_any(get, _test(kind, [one], given, place)) for one in listed])
    return _any(get, _test(kind, listed, given, place))


def _test(kind: str, listed: list[Any], given: set[str], place: str) -> values.Test:
    cased = "cased" in given
    if not kind:
        return values.equals(listed, place, cased=cased)
    if kind == "cidr":
        return values.within(listed, place)
    if kind == "re":
        flags = "".join(sorted(given & _FLAGS))
        tests = [values.expression(one, flags, place) for one in listed]
    elif kind in values.NUMBERS:
        tests = [values.compares(kind, one, place) for one in listed]
    else:
        tests = [values.holds(kind, one, place, cased=cased) for one in listed]
    if len(tests) == 1:
        return tests[0]
    return lambda found: any(test(found) for test in tests)


def _any(get: Get, test: values.Test) -> Check:
    """Return the test of a field: of a list in the event one element is enough."""

    def check(event: Event) -> bool:
        found = get(event)
        if type(found) is list:
            return any(test(one) for one in found)
        return test(found)

    return check


def _exists(get: Get, value: Any, place: str) -> Check:
    if not isinstance(value, bool):
        raise refused(place, "`exists` takes true or false")
    return lambda event: (get(event) is not None) is value


def _same(get: Get, value: Any, place: str, *, cased: bool) -> Check:
    if not isinstance(value, str):
        raise refused(place, "`fieldref` takes the path of a field")
    other = getter(value, place)

    def check(event: Event) -> bool:
        one, two = text_of(get(event)), text_of(other(event))
        if one is None or two is None:
            return False
        one, two = one[: values.MAX_TEXT], two[: values.MAX_TEXT]
        return one == two if cased else one.lower() == two.lower()

    return check


def _hours(get: Get) -> Get:
    return lambda event: values.hour_of(get(event), event.get("timezone_offset"))
