"""`rate(...)` and `cron(...)` of AWS as `every` and `cron` of a manifest."""

from __future__ import annotations

import re

_RATE = re.compile(r"rate\(\s{0,9}([0-9]{1,9})\s{1,9}(minute|hour|day)s?\s{0,9}\)")
_CRON = re.compile(r"cron\(([^()]{1,200})\)")
_MOST_HOURS = 8784


class NoCounterpartError(ValueError):
    """There is nothing here that means the same. The text says why."""


def translated(expression: str) -> dict[str, str]:
    """Return the key and value of a schedule; NoCounterpartError if there is none."""
    rate = _RATE.fullmatch(expression.strip())
    if rate is not None:
        return {"every": _every(int(rate[1]), rate[2])}
    cron = _CRON.fullmatch(expression.strip())
    if cron is not None:
        return {"cron": _cron(cron[1].split())}
    if expression.strip().startswith("at("):
        raise NoCounterpartError("it runs once, at a moment, and never again")
    raise NoCounterpartError("it is neither rate(...) nor cron(...)")


def _every(count: int, unit: str) -> str:
    hours = {"minute": count / 60, "hour": count, "day": count * 24}[unit]
    if not 0 < hours <= _MOST_HOURS:
        raise NoCounterpartError(f"an interval is at most {_MOST_HOURS} hours")
    return f"{count}m" if unit == "minute" else f"{int(hours)}h"


def _cron(fields: list[str]) -> str:
    if len(fields) != 6:
        raise NoCounterpartError("AWS's cron has six fields")
    minute, hour, day, month, weekday, year = (field.upper() for field in fields)
    if year != "*":
        raise NoCounterpartError("cron here has no years")
    for field in (day, weekday):
        if re.search(r"[LW#]", re.sub(r"[A-Z]{3}", "", field)):
            raise NoCounterpartError("L, W and # are not used here")
    plain = [("*" if field == "?" else field) for field in (minute, hour, day, month)]
    return " ".join([*plain, _weekdays("*" if weekday == "?" else weekday)])


def _weekdays(field: str) -> str:
    """Return days of the week counted from 0 for Sunday, which AWS counts from 1."""
    made = []
    for part in field.split(","):
        days, slash, step = part.partition("/")
        moved = re.sub(r"[0-9]{1,2}", lambda day: _moved(int(day[0])), days)
        if slash and days.isdigit():  # AWS: from that day on; cron(5): that day alone
            moved += "-6"
        made.append(moved + slash + step)
    return ",".join(made)


def _moved(day: int) -> str:
    if not 1 <= day <= 7:
        raise NoCounterpartError("days of the week are 1 to 7")
    return str(day - 1)
