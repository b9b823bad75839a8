"""Work on the data folder of a node that has stopped, by a process with the rights of its gateway.

As a node is started: its vault opens with the master key, and the process that works sees the
folder and speaks with the vault.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from casemate.decoding import decodable
from casemate.folder.folders import Folders, default_master_key
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.processes import GATEWAY_UID, SANDBOX_UID, VAULT_UID
from casemate.sandbox.staging import Staging
from casemate.vault.start import start_vault


class StoppedNode(NamedTuple):
    """What the process is given."""

    folders: Folders
    data: str
    """Where it finds the data folder: its user may not be able to walk to where that is."""
    vault: int
    """Descriptor of its connection to the vault."""
    uid: int | None
    """Whom it becomes; None for an ordinary user's node."""


class Line(Protocol):
    """What such a process writes to its standard output, in JSON, each on a line."""

    @property
    def error(self) -> str:
        """Why it cannot go on; empty: it does."""
        ...

    @property
    def next_step(self) -> str | None:
        """What to do about that."""
        ...


L = TypeVar("L", bound=Line)


@contextmanager
def stopped_node(
    data: Path, master_key: str | None, work: str, *, take_back: bool = False
) -> Iterator[StoppedNode]:
    """Open the vault of a data folder for a process that does `work` on it.

    With `take_back` the node has its vault for itself from then on, if nodes shared it. Needs the
    rights of the user that the node runs as. Raises CasemateError: if a node has the vault open, or
    it cannot be opened.
    """
    folders = Folders(data.absolute())
    if not folders.vault.is_dir():
        raise NotFoundError(
            f"{data} is not a data folder of a node: it has no vault.",
            next_step="Name the folder that `casemate serve --data` was given.",
        )
    root = os.geteuid() == 0
    vault = start_vault(
        folders.vault,
        master_key or default_master_key(folders.data),
        create=False,
        uid=VAULT_UID if root else None,
        take_back=take_back,
    )
    try:
        uid = GATEWAY_UID if root else None
        staging = Staging(SANDBOX_UID if root else None, uid, f"{work}-{os.getpid()}")
        try:
            with vault.connect() as connection:
                yield StoppedNode(
                    folders, staging.visible(str(folders.data)), connection.fileno(), uid
                )
        finally:
            staging.close()
    finally:
        vault.close()


def run_beside(
    node: StoppedNode,
    module: str,
    config: msgspec.Struct,
    heard: Callable[[L], None],
    kind: type[L],
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a module with the vault's connection; return its exit code.

    `heard` gets each line that it writes, of `kind`. Raises CasemateError for one with an error.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, msgspec.json.encode(config).decode()],
        pass_fds=(node.vault,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    with process:
        for text in process.stdout or ():
            line = msgspec.json.decode(text, type=decodable(kind))
            if line.error:
                raise CasemateError(line.error, next_step=line.next_step)
            heard(line)
    return process.returncode
