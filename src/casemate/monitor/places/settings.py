"""What a node's settings file says of second places for checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from casemate.monitor.reached import AtServer, AtUrl, Seconds, SecretName

SAME_MOUNT = "same-mount"
"""What can be accepted of a file: that it is where the node's own folder is."""
_EVERY: Seconds = 60.0


class FilePlace(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file",
    tag_field="kind",
):  # fmt: skip
    """A file, on another mount."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    accept: tuple[Literal["same-mount"], ...] = ()
    every: Seconds = _EVERY
    """At most one checkpoint in as long, and none where nothing is new."""


class WebhookPlace(AtUrl, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """POST, signed as alerts are."""

    secret: SecretName
    every: Seconds = _EVERY


class SyslogPlace(AtServer, frozen=True, kw_only=True, tag="syslog", tag_field="kind"):
    """RFC 5424 over TLS."""

    every: Seconds = _EVERY


class S3Place(AtUrl, frozen=True, kw_only=True, tag="s3", tag_field="kind"):
    """One object for each checkpoint, in a store that speaks S3; `url` is that of the store."""

    bucket: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")]
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] = "us-east-1"
    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_./-]{0,256}\Z")] = ""
    access_key: Annotated[str, msgspec.Meta(pattern=r"^[!-+.0-~-]{1,128}\Z")]
    secret: SecretName
    """The secret key: `PROJECT/NAME` in the vault."""
    every: Seconds = _EVERY


Place = FilePlace | WebhookPlace | SyslogPlace | S3Place
