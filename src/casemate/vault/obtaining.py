"""Where a vault's master key comes from when it is opened."""

from __future__ import annotations

from casemate.vault.errors import MasterKeySourceError, VaultMissingError
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import MasterKey, stored_header
from casemate.vault.sources import KeySource
from casemate.vault.state import STATE_FILE, Header, read_header, unproven
from casemate.vault.successor import acceptable, is_untouched, read_given, require_not_older


def obtain_master(
    folder: VaultFolder,
    source: KeySource,
    *,
    create: bool,
    brought: bytes | None = None,
    accepted_losses: tuple[str, ...] = (),
) -> MasterKey:
    """Return the master key of the vault in `folder`, or a new one for a new vault.

    With `brought`, the state that a cluster's database has, that of this one.

    The one step that needs the rights of whoever may read the source. Raises VaultError.
    """
    header = _header(folder, brought, accepted_losses)
    if header is not None:
        parameters = header.parameters
        try:
            key = source.read(parameters)
        except MasterKeySourceError as error:
            found = _key_elsewhere(error, header, source, shared=brought is not None)
            if found is error:  # an error that is its own cause has no end
                raise
            raise found from error
        return MasterKey(source=source.source.text, key=key, parameters=parameters)
    if not create:
        raise VaultMissingError(
            f"There is no {STATE_FILE} in {folder.path}, but the node has data that was encrypted.",
            next_step="Restore the folder data/vault from a backup.",
        )
    key, parameters = source.create()
    return MasterKey(source=source.source.text, key=key, parameters=parameters)


def _header(folder: VaultFolder, brought: bytes | None, accepted: tuple[str, ...]) -> Header | None:
    if brought is None:
        return stored_header(folder)
    header = read_given(brought)
    data = folder.read(STATE_FILE)
    if data is not None and not is_untouched(read_header(data), header):
        with acceptable(data, brought, accepted):
            require_not_older(read_header(data), header)
    return header


def _key_elsewhere(
    error: MasterKeySourceError, header: Header, source: KeySource, *, shared: bool
) -> MasterKeySourceError:
    """Return an error that says which key fits: the data may have been moved.

    Whoever can write the file chooses what its head says, so it is quoted as what it is, and
    never in a command: a source can be a program. A vault that nodes share was made on another
    machine, whose files are not this one's.
    """
    if shared:
        return MasterKeySourceError(
            f"{error.message} The vault that the nodes share has one already. {unproven(header)}",
            next_step="Bring that key to this machine, to where it is expected, or name its place "
            "with --master-key. `casemate vault status` on another node says where it has it.",
        )
    if header.source == source.source.text:
        return error
    return MasterKeySourceError(
        f"{error.message} The vault in this data belongs to another master key. {unproven(header)}",
        next_step="Start with --master-key naming where you keep this vault's key, or copy that "
        "key to where it is expected.",
    )
