"""The sinks: one file each, one line here."""

from __future__ import annotations

from ..sink import Sink
from . import (
    attributes,
    cell,
    code,
    command,
    deserialisation,
    file,
    header,
    ldap,
    log,
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
    cell.SINK,
    log.SINK,
    header.SINK,
    file.SINK,
)
