"""Secrets from an env file: which name each gets, and the one request that sets them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from casemate.cli.client import NodeClient
from casemate.cli.env_file import MAX_FILE_BYTES, parse_env_file
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.file_input import STANDARD_INPUT, content_of
from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.vault import MAX_AT_ONCE, SecretVersion
from casemate.operations.secrets import PutSecrets, SealedSecret

_NAME = re.compile(RESOURCE_PATTERN.removesuffix("$") + r"\Z")


def read_env_file(path: str) -> bytes:
    """Return the file's content, `-` for standard input. Raises UsageError."""
    if path == STANDARD_INPUT and sys.stdin.isatty():
        raise UsageError(
            "Standard input is a terminal, which would show the typed text.",
            next_step="Name a file, or pipe it in.",
        )
    return content_of(Path(path), path, MAX_FILE_BYTES, private=True)


def secrets_of(data: bytes) -> dict[str, bytes]:
    """Return the values by the names of their secrets: `API_KEY` is `api-key`."""
    found: dict[str, bytes] = {}
    for variable, value in parse_env_file(data).items():
        name = variable.lower().replace("_", "-")
        if _NAME.match(name) is None:
            raise CommandError(
                f"{variable} makes no name of a secret: that has letters and digits with single "
                "`-` or `_` within, at most 63.",
                next_step="Rename it in the file; nothing was set.",
            )
        if name in found:
            raise CommandError(
                f"{variable} is the second variable that would be the secret {name}.",
                next_step="Rename one of them; nothing was set.",
            )
        found[name] = value.encode()
    if not 1 <= len(found) <= MAX_AT_ONCE:
        raise CommandError(
            f"The env file has {len(found)} values, expected 1 to {MAX_AT_ONCE}.",
            next_step="Nothing was set; split a larger file.",
        )
    return found


def put_all(
    client: NodeClient, project: str, sealed: dict[str, bytes]
) -> tuple[SecretVersion, ...]:
    """Set these secrets of a project, all of them or none."""
    entries = tuple(SealedSecret(name=name, sealed=one) for name, one in sealed.items())
    return client.call(PutSecrets(project=project, secrets=entries)).versions
