"""Lines that are of the same kind as the code's own, whatever they are about.

`NAME=value` for the environment of a next step, samples of metrics (`name{job="a"} 1`).
"""

from __future__ import annotations

import re

from ..quoted import opens_quotes

_ASSIGNED = re.compile(r"(?:export )?[A-Z_][A-Z0-9_]{0,63}=")
_LABELLED = re.compile(r"[A-Za-z_:][\w:]{0,200}\{")
_MAX_BEGUN = 400
_SAMPLE = re.compile(r"[A-Za-z_:][\w:]{0,200}(?:\{[^}\n]{0,400}\})? [-+.\w]{1,30}(?=\s|$)")


_ENVIRONMENT = re.compile(r"(?:[A-Z_][A-Z0-9_]{0,63}=[^\n]{0,400}\n){2}")
_ENTRY = re.compile(r"(?:[\d*/,-]{1,20} ){5}\S|@(?:reboot|hourly|daily|weekly|monthly|yearly) ")
"""How a line of cron begins."""


_NUMBER = r"(?:[-+]?\d[\d.eE+-]{0,30}|q)"
_VALUE = rf"(?:{_NUMBER}[iu]?|\"[^\"\n]{{0,200}}\"|true|false|[tTfF])"
STATSD = re.compile(rf"[A-Za-z_][\w./-]{{0,200}}:{_NUMBER}\|[a-z]{{1,2}}(?=[|\s]|\Z)")
POINT = re.compile(
    r"[A-Za-z_][\w.-]{0,100}(?:,[\w.-]{1,60}=[^\s,=]{1,200}){0,20} "
    rf"[\w.-]{{1,60}}={_VALUE}(?=[,\s]|\Z)"
)
"""A point in InfluxDB's line protocol."""
_TAG = re.compile(r"(?<!\\),[\w.-]{1,60}=")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+("?)')
KINDS = (
    STATSD,
    re.compile(rf"[A-Za-z_][\w.;=/-]{{0,300}} {_NUMBER} (?:\d{{9,13}}|q)(?=\s|\Z)"),
    POINT,
    re.compile(r"<\d{1,3}>"),
)
"""Lines that services take many of at once: samples for StatsD, Graphite and InfluxDB (its line
protocol), messages of syslog; with `q` in the place of data."""


def is_environment(text: str) -> bool:
    """Tell whether a file of no known kind begins with variables of the environment."""
    return _ENVIRONMENT.match(text) is not None


def adds_tag(before: str, part: str) -> bool:
    """Tell whether data has another tag or field of a point, behind this part of its line."""
    if _TAG.search(part) is None or opens_quotes(before):
        return False
    unquoted = _QUOTED.sub(lambda found: "" if found[1] else found[0], part)
    return _TAG.search(unquoted) is not None


def ends_comment(own: str, line: str) -> bool:
    """Tell whether a line that data begins in a comment of the code's is one that is run or set."""
    begins = _ENTRY.match(line) or _ASSIGNED.match(line)
    return own.lstrip()[:1] == "#" and begins is not None


def begins_sample(text: str) -> bool:
    """Tell whether a text begins as a sample of metrics does, with a label."""
    return _LABELLED.match(text) is not None and '="' in text[:_MAX_BEGUN]


def ends_label(own: str, part: str) -> bool:
    """Tell whether data in the quotes of a label of a sample ends these."""
    return own[-2:] == '="' and _LABELLED.match(own) is not None and '"' in part.replace('\\"', "")


def is_alike(own: str, line: str) -> bool:
    """Tell whether a line that data begins is of the kind that the code's own begins as one."""
    if _ASSIGNED.match(own) is not None:
        return _ASSIGNED.match(line) is not None
    return _LABELLED.match(own) is not None and _SAMPLE.match(line) is not None
