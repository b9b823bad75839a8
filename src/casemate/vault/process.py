"""The vault process: `python -m casemate.vault.process CONFIG`, started by the supervisor.

It opens its folder and reads the master key with the rights it was started with, then gives up
every right, and only then reads what is in its files. The supervisor hears on the control socket
that it is ready, or why it is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from casemate.child.confinement import forbid_dumps
from casemate.child.process import Supervised, main
from casemate.child.proof import Held
from casemate.model.errors import CasemateError
from casemate.vault import protocol
from casemate.vault.config import VaultConfig
from casemate.vault.confinement import VAULT
from casemate.vault.engine import VaultEngine
from casemate.vault.envelope import decrypt, encrypt, new_key
from casemate.vault.errors import DecryptionError, VaultDamagedError, VaultError
from casemate.vault.folder import MAX_FILE, VaultFolder
from casemate.vault.key_material import read_descriptor
from casemate.vault.obtaining import obtain_master
from casemate.vault.opening import open_vault
from casemate.vault.redaction import Redactor
from casemate.vault.sealed import new_private_key, public_key_of, seal, unseal
from casemate.vault.server import Server
from casemate.vault.shared import SharedVault
from casemate.vault.signing import sign_with_new_key
from casemate.vault.sources import KeySource, SourceKind, parse_source

_MAX_VARIABLE = 4096
_SWITCH_SECONDS = 0.000_5
"""After which the thread that redacts lets the one that answers have a turn."""


def _warm_up() -> None:
    """Have everything loaded that would be read from files on first use."""
    key = new_key()
    with contextlib.suppress(DecryptionError):
        decrypt(key, encrypt(key, b"", b""), b"another context")
    private = new_private_key()
    unseal(private, b"", seal(public_key_of(private), b"", b""))
    Redactor([("warm", b"warm up")]).redact(b'{"a": "\\u0077arm%20up"}')
    sign_with_new_key()


def _brought(descriptor: int | None) -> bytes | None:
    """Return the state that the database has. Raises VaultDamagedError, OSError."""
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        data = os.pread(file.fileno(), MAX_FILE + 1, 0)
    if len(data) > MAX_FILE:
        raise VaultDamagedError(
            f"The vault in the cluster's database has more than {MAX_FILE} bytes.",
            next_step="Bring the database back from a backup.",
        )
    return data


def _open(
    config: VaultConfig, supervised: Supervised
) -> tuple[VaultEngine, SharedVault | None, Held]:
    """Open the vault and confine this process. Raises VaultError, OSError."""
    source = parse_source(config.source)
    folder = VaultFolder.open(Path(config.folder), create=config.create, uid=config.uid)
    taken = None
    if config.variable is not None:
        taken = read_descriptor(config.variable, _MAX_VARIABLE)
    reader = KeySource(source, forbidden=Path(config.folder).parent, taken=taken)
    brought = _brought(config.brought)
    master = obtain_master(
        folder,
        reader,
        create=config.create,
        brought=brought,
        accepted_losses=config.accepted_losses,
    )
    if source.kind is SourceKind.PASSPHRASE:
        os.setsid()  # the terminal was needed until now
    _warm_up()
    held = supervised.confine(VAULT, folder=folder.descriptor)
    engine, shared = open_vault(
        folder,
        master,
        memory_locked=held.memory_locked,
        shared=config.shared,
        brought=brought,
        take_back=config.take_back,
        accepted_losses=config.accepted_losses,
    )
    return engine, shared, held


def serve(config: VaultConfig) -> int:
    """Run the vault until its supervisor goes; return the exit code."""
    # The supervisor decides when the vault ends, after the gateway: by closing the socket.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    supervised = Supervised(config)
    try:
        forbid_dumps()
        engine, shared, held = _open(config, supervised)
    except CasemateError as error:
        supervised.refuse(protocol.ERRORS.failure(error))
        return 1
    except OSError as error:
        refusal = VaultError(
            f"The vault cannot be confined: {error}.", next_step="Run casemate doctor."
        )
        supervised.refuse(protocol.ERRORS.failure(refusal))
        return 1
    supervised.ready(held)
    sys.setswitchinterval(_SWITCH_SECONDS)
    monitors = frozenset(config.monitors)
    Server(engine, supervised.control, supervised.heart, monitors=monitors, shared=shared).run()
    engine.close()
    return 0


if __name__ == "__main__":
    main("vault", VaultConfig, serve)
