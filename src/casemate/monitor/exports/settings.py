"""What a node's settings file says of exports: collectors by OTLP/HTTP, servers of syslog."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from casemate.monitor.reached import AtServer, AtUrl, Seconds, SecretName

MAX_HEADERS = 16
OWN_HEADERS = frozenset(
    ("connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")
)
"""Those that the request has anyway; two of a kind are read differently by different servers."""

Signal = Literal["traces", "metrics", "logs"]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z")]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[!-~](?:[ -~]{0,1022}[!-~])?\Z")]


class Otlp(AtUrl, frozen=True, kw_only=True, tag="otlp", tag_field="kind"):
    """A collector: POST of Protocol Buffers to `URL/v1/traces`, `/v1/metrics`, `/v1/logs`."""

    signals: Annotated[tuple[Signal, ...], msgspec.Meta(min_length=1, max_length=3)] = (
        "traces",
        "metrics",
        "logs",
    )
    every: Seconds = 5.0
    """How long traces and lines wait for others."""
    metrics_every: Seconds = 60.0
    headers: Annotated[dict[HeaderName, HeaderValue], msgspec.Meta(max_length=MAX_HEADERS)] = (
        msgspec.field(default_factory=dict)
    )
    secret_headers: Annotated[
        dict[HeaderName, SecretName], msgspec.Meta(max_length=MAX_HEADERS)
    ] = msgspec.field(default_factory=dict)
    """Their values are in the vault: `PROJECT/NAME`."""


class SyslogLines(AtServer, frozen=True, kw_only=True, tag="syslog", tag_field="kind"):
    """Lines of logs by RFC 5424 over TLS."""

    every: Seconds = 5.0

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What is sent there."""
        return ("logs",)


Export = Otlp | SyslogLines


def faults(export: Export) -> str:
    """Return what is wrong with it that its types do not say, empty where nothing is."""
    if isinstance(export, Otlp):
        named = [each.lower() for each in (*export.headers, *export.secret_headers)]
        if own := OWN_HEADERS & set(named):
            return f"the header {min(own)} is not yours to set"
        if len(set(named)) < len(named):
            return "a header is named twice"
        if len(set(export.signals)) < len(export.signals):
            return "a signal is named twice"
        if "?" in export.url:
            return "the URL of a collector has no query: paths are added to it"
    return ""
