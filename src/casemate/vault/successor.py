"""Whether a state that is given may come after the one that is here: of the same vault, and newer.

Who gives it is not believed: a database that was put back to an earlier time, or that lost what it
had acknowledged, would take keys away that values were encrypted with since.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator

from casemate.vault import envelope
from casemate.vault.errors import VaultDamagedError, VaultError
from casemate.vault.losses import LOSS
from casemate.vault.open_state import OpenState
from casemate.vault.state import NEW, Header, State, decode_state, read_header

_BACK = (
    "Bring the newest state of the database back; if that is lost, start the node again: its error "
    "names what can be accepted."
)


def loss_of(here: bytes, there: bytes) -> str:
    """Return the name by which it is accepted that a state takes the place of the one here."""
    both = hashlib.sha256(here).digest() + hashlib.sha256(there).digest()
    return f"{LOSS}{hashlib.sha256(both).hexdigest()[:16]}"


@contextlib.contextmanager
def acceptable(here: bytes, there: bytes, accepted: Collection[str]) -> Iterator[None]:
    """Let pass what does not follow if that is accepted by its name; else tell the name.

    It is good for these two states alone. What is of another vault is never accepted.
    """
    require_same_vault(read_header(here), read_given(there))
    try:
        yield
    except VaultDamagedError as error:
        name = loss_of(here, there)
        if name not in accepted:
            raise VaultDamagedError(
                error.message,
                next_step="Bring the newest state of the database back; to go on without the keys "
                "and secrets that only this node has seen, and with those that were revoked since: "
                f"casemate serve --accept-loss {name}",
            ) from error


def decode_given(content: bytes, master: bytes) -> tuple[Header, State]:
    """Return head and body of what the database has. Raises as `decode_state`."""
    with _told():
        return decode_state(content, master)


def read_given(content: bytes) -> Header:
    """Return the head of what the database has. Raises VaultDamagedError."""
    with _told():
        return read_header(content)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say of a damage that it is not this node's."""
    try:
        yield
    except VaultDamagedError as error:
        raise VaultDamagedError(
            f"What the cluster's database has of the vault cannot be used. {error.message} Nothing "
            "was changed.",
            next_step=_BACK,
        ) from error


def require_same_vault(here: Header, there: Header) -> None:
    """Refuse what is of another vault. Raises VaultDamagedError."""
    if here.vault != there.vault:
        raise VaultDamagedError(
            f"The cluster's database has the vault {there.vault}, and this node's data folder has "
            f"the vault {here.vault}: they are of different clusters. Nothing was changed.",
            next_step="Name this cluster's database; to have this node join the other cluster, "
            "start it with an empty data folder.",
        )


def is_untouched(here: Header, there: Header) -> bool:
    """Tell whether a vault of its own was made here and never changed, while there is another.

    So it is where nodes begin at the same moment: one of them gives its vault to the cluster.
    """
    return here.generation == NEW and here.vault != there.vault


def holds_nothing(data: bytes, master: bytes) -> bool:
    """Tell whether a vault is this master key's, and nothing was kept with it."""
    try:
        header, state = decode_state(data, master)
    except VaultError:
        return False
    return header.generation == NEW and state == State(sealing=state.sealing)


def require_not_older(here: Header, there: Header) -> None:
    """Refuse what is older than what was seen here. Raises VaultDamagedError."""
    require_same_vault(here, there)
    if there.generation < here.generation:
        raise VaultDamagedError(
            f"The cluster's database has generation {there.generation} of the vault, and this node "
            f"has seen {here.generation}: it was brought back from an earlier time. Nothing was "
            "changed.",
            next_step=_BACK,
        )


def require_successor(here: OpenState, header: Header, state: State) -> None:
    """Refuse a state that does not follow the one that is open. Raises VaultDamagedError."""
    require_not_older(here.header, header)
    if header.generation == here.header.generation:
        raise _forked(f"there are two states of generation {header.generation}")
    if here.state.founder and state.founder != here.state.founder:
        raise _forked("another node has given it to the cluster")
    if header.public_key != here.header.public_key:
        raise _forked("values are sealed to another key")
    same_master = header.key_id == envelope.key_id(here.master)
    there = {(each.project, each.version): each.wrapped for each in state.keys}
    for each in here.state.keys:
        found = there.get((each.project, each.version))
        if found is None or (same_master and found != each.wrapped):
            raise _forked(f"key {each.version} of project {each.project!r} is not the same")


def _forked(why: str) -> VaultDamagedError:
    return VaultDamagedError(
        f"The vault in the cluster's database is not what became of the one on this node: {why}. "
        "Nothing was changed.",
        next_step=_BACK,
    )
