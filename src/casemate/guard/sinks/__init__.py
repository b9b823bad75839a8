"""The sinks: one file each, one line here."""

from __future__ import annotations

from ..sink import Sink
from . import (
    attributes,
    code,
    command,
    deserialisation,
    ldap,
    nosql,
    path,
    regex,
    response,
    sql,
    template,
    url,
    xml,
    xpath,
)

SINKS: tuple[Sink, ...] = (
    sql.SINK,
    url.SINK,
    response.SINK,
    command.SINK,
    path.SINK,
    code.SINK,
    template.SINK,
    deserialisation.SINK,
    ldap.SINK,
    nosql.SINK,
    xml.SINK,
    xpath.SINK,
    regex.SINK,
    attributes.SINK,
)
