"""A data folder is started as what it is: that of a node alone, or of one among others."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.folder.folders import Folders
from casemate.folder.presence import Presence, mark_shared
from casemate.store.errors import StoreError, StoreGoneError
from casemate.store.sqlite.moved import Mark, MoveState, write_mark


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "d")
    made.make(None, None, None)
    return made


def test_a_node_that_shares_its_state_is_not_started_alone(folders: Folders) -> None:
    mark_shared(folders)
    found = Presence(folders)
    assert found.shared
    found.require_alike(shares=True)
    with pytest.raises(StoreGoneError, match="shares its state"):
        found.require_alike(shares=False)


@pytest.mark.parametrize("kept", ["store/records.db", "data/shop.db"])
def test_a_folder_with_a_state_of_its_own_is_not_left_behind(folders: Folders, kept: str) -> None:
    (folders.data / kept).touch()
    Presence(folders).require_alike(shares=False)
    with pytest.raises(StoreGoneError, match="left behind"):
        Presence(folders).require_alike(shares=True)


def test_a_folder_whose_state_was_moved_is_that_of_one_among_others(folders: Folders) -> None:
    (folders.data / "store/records.db").touch()
    write_mark(folders.store, Mark(state=MoveState.UNFINISHED, place="there"))
    with pytest.raises(StoreGoneError, match="left behind"):
        Presence(folders).require_alike(shares=True)
    write_mark(folders.store, Mark(state=MoveState.AWAY, place="there"))
    Presence(folders).require_alike(shares=True)
    (folders.store / "records.db.move").write_bytes(b"{}")
    with pytest.raises(StoreError, match="cannot be read"):
        Presence(folders)


def test_a_vault_of_a_shared_state_is_not_made_anew(folders: Folders) -> None:
    assert Presence(folders).may_make_vault
    mark_shared(folders)
    assert not Presence(folders).may_make_vault
