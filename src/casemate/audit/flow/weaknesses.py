"""What can go wrong at a sink: the guard's name of it, its CWE, in words."""

from __future__ import annotations

from typing import NamedTuple

from casemate.guard.sink_names import SINK_NAMES

STATIC_SINKS = ("hash", "cipher", "random", "cookie", "session", "object")
"""Sinks that only reading code can see: the guard's hooks have no place there."""
RUNNING_SINKS = ("cell", "header", "file")
"""Sinks that only running shows: reading code does not tell who will read what is written."""


class Weakness(NamedTuple):
    """One way in which data, or a choice of the code, does harm."""

    sink: str
    cwe: int
    title: str


WEAKNESSES = {
    "sql": Weakness("sql", 89, "data becomes part of an SQL statement"),
    "command": Weakness("command", 78, "data becomes part of a command line"),
    "argument": Weakness("command", 88, "data chooses a program or its options"),
    "code": Weakness("code", 94, "data is executed as code"),
    "import": Weakness("code", 470, "data chooses a module, a class or a function"),
    "format": Weakness("code", 134, "data is a format string that can read attributes"),
    "attributes": Weakness("attributes", 915, "data names attributes that are set"),
    "deserialisation": Weakness("deserialisation", 502, "data can make objects of any type"),
    "path": Weakness("path", 22, "data chooses a file"),
    "archive": Weakness("path", 22, "names in an archive choose where files are written"),
    "url": Weakness("url", 918, "data chooses where a request goes"),
    "redirect": Weakness("response", 601, "data chooses where a browser is sent"),
    "markup": Weakness("response", 79, "data becomes markup of a page"),
    "header": Weakness("response", 113, "data with line ends becomes a header"),
    "template": Weakness("template", 1336, "data is a template"),
    "xml": Weakness("xml", 611, "XML of the event names files or addresses that are read"),
    "xpath": Weakness("xpath", 643, "data becomes part of an XPath expression"),
    "ldap": Weakness("ldap", 90, "data becomes part of an LDAP filter or name"),
    "nosql": Weakness("nosql", 943, "data becomes part of a query"),
    "regex": Weakness("regex", 1333, "data is a regular expression"),
    "log": Weakness("log", 117, "data with line ends becomes a line of a log"),
    "hash": Weakness("hash", 328, "a hash that can be forged"),
    "cipher": Weakness("cipher", 327, "a cipher or mode that can be broken"),
    "random": Weakness("random", 330, "a secret from numbers that can be predicted"),
    "cookie": Weakness("cookie", 614, "a cookie that is sent without TLS"),
    "session": Weakness("session", 501, "data from outside is kept among trusted data"),
    "object": Weakness("object", 639, "data chooses any object of a bucket"),
}


def sinks() -> frozenset[str]:
    """Return the names of all sinks that reading code finds, the guard's and its own."""
    return frozenset((*SINK_NAMES, *STATIC_SINKS)) - frozenset(RUNNING_SINKS)
