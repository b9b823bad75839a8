"""Attacks by what an event brings, from each kind of source, to each kind of sink."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from casemate.drills.drill import Drill, Way

SOURCES = ("http", "async", "schedule", "queue", "topic", "bucket", "table", "repository")
"""`http`: a direct call; `async`: one that is kept; else the trigger's name in the project."""


PUSH = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "1" * 40,
    "repository": {"html_url": "https://git.example.org/drill", "full_name": "team/drill"},
    "sender": {"login": "drill"},
    "commits": [],
}
"""What a hook of a repository tells."""
_PICKLE = base64.b64encode(b"cbuiltins\neval\n(V1 + 1\ntR.").decode()
"""Runs `eval` when it is loaded."""
_BOMB = '<!DOCTYPE r [<!ENTITY a "' + "x" * 99 + '"><!ENTITY b "' + "&a;" * 99 + '">]><r>&b;</r>'
_SINKS: dict[str, tuple[str, str, str]] = {
    "sql": ("SQL injection", "T1190", "x' OR '1'='1"),
    "command": ("Command injection", "T1059.004", "x; cat /etc/passwd"),
    "path": ("Path traversal", "T1083", "../../etc/passwd"),
    "url": ("Server-side request forgery", "T1552.005", "http://169.254.169.254/latest/meta-data/"),
    "code": ("Code injection", "T1059.006", "__import__('os').getcwd()"),
    "deserialisation": ("Insecure deserialisation", "T1203", _PICKLE),
    "xml": ("Entity expansion in XML", "T1499.003", _BOMB),
    "attributes": ("Attribute injection", "T1565", "__class__=x"),
}
_CLOUDS = {
    ("url", "http"): "Steal credentials from the metadata service through a function",
    ("bucket", "command"): "Run code by the name of an uploaded object",
}


def drills() -> Iterator[Drill]:
    """Yield the attacks by events."""
    for source in SOURCES:
        for sink, (title, technique, value) in _SINKS.items():
            yield Drill(
                id=f"event-{source}-{sink}",
                title=f"{title} through {_named(source)}",
                way=Way.EVENT,
                risk=3,
                technique=technique,
                cloud=_CLOUDS.get((sink, source), ""),
                source=source,
                play={"text": f"{sink} {value}"},
                denied="injection",
            )


def _named(source: str) -> str:
    names = {"http": "a direct call", "async": "an event that is kept", "repository": "a web hook"}
    return names.get(source, f"a {source}")
