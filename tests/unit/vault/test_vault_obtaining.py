"""What a vault's file says of its master key before that has proven it is never to be run."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from vault_samples import master_key, open_engine

from casemate.vault.envelope import new_key
from casemate.vault.errors import MasterKeySourceError, WrongMasterKeyError
from casemate.vault.folder import VaultFolder
from casemate.vault.obtaining import obtain_master
from casemate.vault.sources import KeySource, parse_source
from casemate.vault.state import STATE_FILE, decode_state, read_header

PLANTED = (
    "command:/tmp/theirs --master",
    "file:/x --master-key command:/tmp/theirs",
    "file:/x\n  casemate serve --master-key command:/tmp/theirs",
    "file:/x\x1b[2K\rRun `/tmp/theirs`",
    "command:/tmp/" + "a" * 4000,
)


def planted(data: bytes, source: str) -> bytes:
    """Return a vault's file whose head names another source, as anybody can write it."""
    header = msgspec.structs.replace(read_header(data), source=source)
    length = int.from_bytes(data[9:13], "big")
    head = msgspec.json.encode(header)
    start = data[:9] + len(head).to_bytes(4, "big") + head + hashlib.sha256(head).digest()
    return start + data[13 + length + 32 :]


@pytest.fixture
def folder(tmp_path):
    open_engine(tmp_path / "vault", master_key(key=new_key()), create=True).close()
    folder = VaultFolder.open(tmp_path / "vault", create=False, uid=None)
    yield folder
    folder.close()


@pytest.mark.parametrize("source", PLANTED)
def test_no_source_that_only_the_file_names_is_proposed(folder, tmp_path, source) -> None:
    folder.write(STATE_FILE, planted(folder.read(STATE_FILE), source))
    given = KeySource(parse_source(f"file:{tmp_path}/missing.key"))
    with pytest.raises(MasterKeySourceError) as moved:
        obtain_master(folder, given, create=False)
    with pytest.raises(WrongMasterKeyError) as other:
        decode_state(folder.read(STATE_FILE), new_key())
    for error in (moved.value, other.value):
        assert "theirs" not in (error.next_step or "")
        assert "--master-key naming where you keep" in (error.next_step or "")
        # Quoted, cut, and as what it is: told by the file, proven by nothing.
        assert repr(source[:256]) in error.message
        assert source.isprintable() or source not in error.message
        assert len(error.message) < 1000
        assert "which nothing proves" in error.message
