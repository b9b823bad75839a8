"""What the decoys of a project are: names and values made of a key that only the vault has.

The same key and generation give the same decoys, so that they need not be kept: a backup of the
vault holds them, and nothing that can be read without it does.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from typing import Any, NamedTuple

from casemate.accounts.credential import ID_LENGTH, PREFIX, checksum
from casemate.model.decoy import DecoyKind

_SUBJECTS = (
    *("admin", "backup", "billing", "customer", "deploy", "finance", "ldap", "ledger"),
    *("mail", "master", "payments", "payroll", "replica", "root", "signing", "warehouse"),
)
_SECRETS = ("access-key", "api-key", "password", "private-key")
_TABLES = ("accounts", "credentials", "export", "keys")
_HOSTS = ("archive", "backup", "bastion", "db", "git", "ldap", "registry", "vault")
_NETWORKS = ("corp", "infra", "mgmt", "prod")
TOP_LEVEL = "internal"
"""Reserved for private use (ICANN, 2024): nobody can register below it."""
_TAIL_CHARACTERS = 5
"""25 bits: no honest name is the same by chance, and none of another project."""
ROW_KEY = "id"
"""Attribute that is the key of the table with the row."""

_VARIABLES = {
    DecoyKind.HOST: "CASEMATE_BACKUP_HOST",
    DecoyKind.SECRET: "CASEMATE_BACKUP_SECRET",
    DecoyKind.ROW: "CASEMATE_BACKUP_TABLE",
    DecoyKind.TOKEN: "CASEMATE_BACKUP_TOKEN",
}
"""By which a function's process finds them that looks around; manifests cannot set these names."""


class _Material:
    """Bytes of a key, for one use each."""

    def __init__(self, key: bytes, project: str, generation: int) -> None:
        self._key = key
        self._about = f"{project}\0{generation}"

    def bytes(self, use: str) -> bytes:
        return hmac.digest(self._key, f"casemate decoy\0{self._about}\0{use}".encode(), "sha256")

    def one_of(self, use: str, choices: Sequence[str]) -> str:
        return choices[int.from_bytes(self.bytes(use)[:4], "big") % len(choices)]

    def tail(self, use: str) -> str:
        return base64.b32encode(self.bytes(use)).decode()[:_TAIL_CHARACTERS].lower()


class Made(NamedTuple):
    """The decoys of a project, of one generation. The representation does not show the token."""

    secret: str
    """Name."""
    token: str
    """Text."""
    host: str
    table: str
    row: dict[str, Any]

    def __repr__(self) -> str:
        """Leave out what only who stole it should have."""
        return f"Made(secret={self.secret!r}, host={self.host!r}, table={self.table!r})"

    @property
    def token_id(self) -> str:
        """Id of the token, which opens nothing."""
        return self.token[len(PREFIX) : len(PREFIX) + ID_LENGTH]

    def place(self, kind: DecoyKind) -> str:
        """Return where a decoy is: its name."""
        return {
            DecoyKind.SECRET: self.secret,
            DecoyKind.TOKEN: self.token_id,
            DecoyKind.HOST: self.host,
            DecoyKind.ROW: self.table,
        }[kind]

    def variables(self, off: frozenset[DecoyKind]) -> dict[str, str]:
        """Return what a function's environment holds of them, without those that are `off`."""
        values = {kind: self.place(kind) for kind in DecoyKind} | {DecoyKind.TOKEN: self.token}
        return {name: values[kind] for kind, name in _VARIABLES.items() if kind not in off}


def made(key: bytes, project: str, generation: int) -> Made:
    """Return the decoys of a project; `key` is the vault's for this purpose."""
    material = _Material(key, project, generation)
    token_id = material.bytes("token id").hex()[:ID_LENGTH]
    text = base64.urlsafe_b64encode(material.bytes("token")).rstrip(b"=").decode()
    body = f"{PREFIX}{token_id}_{text}"
    token = body + checksum(body)
    subject = material.one_of("subject", _SUBJECTS)
    secret = f"{subject}-{material.one_of('secret', _SECRETS)}-{material.tail('secret tail')}"
    host = (
        f"{material.one_of('host', _HOSTS)}-{material.tail('host tail')}."
        f"{material.one_of('network', _NETWORKS)}.{TOP_LEVEL}"
    )
    table = (
        f"{material.one_of('table subject', _SUBJECTS)}-"
        f"{material.one_of('table', _TABLES)}-{material.tail('table tail')}"
    )
    row = {
        ROW_KEY: material.bytes("row id").hex()[:24],
        "account": f"{subject}@{host.partition('.')[2]}",
        "role": "owner",
        "endpoint": f"https://{host}",
        "api_token": token,
        "secret": secret,
    }
    return Made(secret=secret, token=token, host=host, table=table, row=row)
