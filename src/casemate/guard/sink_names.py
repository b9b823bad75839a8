"""The names of the sinks, in the order of `SINKS`, for who needs no more of them.

The manifest's tables do: importing the sinks themselves would cost each start of the command line
and of the gateway more than all other tables together.
"""

from __future__ import annotations

SINK_NAMES = (
    "sql",
    "url",
    "response",
    "command",
    "path",
    "code",
    "template",
    "deserialisation",
    "ldap",
    "nosql",
    "xml",
    "xpath",
    "regex",
    "attributes",
    "cell",
    "log",
    "header",
    "file",
)
