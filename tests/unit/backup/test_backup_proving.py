"""A backup is one that the node's vault has signed as a whole, or it is not taken."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from casemate.backup.archive import (
    END,
    BackupError,
    Entry,
    Manifest,
    Signed,
    encode,
    header,
    padding,
)
from casemate.backup.making import BackupMaker
from casemate.backup.parts import parts_of
from casemate.backup.proving import loss_of, place_of_key, read_manifest, require_signed
from casemate.backup.restore import restore
from casemate.folder.folders import Folders
from casemate.model.processes import VAULT_UID
from casemate.vault.client import VaultClient
from casemate.vault.interface import Purpose
from casemate.vault.start import VaultProcess, start_vault

UID = VAULT_UID if os.geteuid() == 0 else None


class Copied:
    """What is copied into one file: of the store and the records; of the data into two."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    async def snapshot(self, target: Path) -> None:
        if not target.is_dir():
            target.write_bytes(self.text)
        elif target.name == "data":
            (target / "shop@1.db").write_bytes(self.text)
            (target / "objects/shop").mkdir(parents=True)
            (target / "objects/shop/ab12").write_bytes(self.text)
            (target / "other@1.db").write_bytes(b"the same")


class Node:
    def __init__(self, base: Path) -> None:
        self.folders = Folders(base / "data")
        self.folders.make(None, UID, None)
        (self.folders.bundles / ("a" * 64 + ".sealed")).write_bytes(b"sealed")
        self.key = f"file:{base}/master.key"
        self.vault: VaultProcess = start_vault(self.folders.vault, self.key, create=True, uid=UID)

    def using(self, use: Callable[[VaultClient], Any]) -> Any:
        async def body() -> Any:
            client = VaultClient(self.vault.connect(), asyncio.get_running_loop())
            try:
                return await use(client)
            finally:
                client.close()

        return asyncio.run(body())

    def backup(self, text: bytes) -> bytes:
        async def made(vault: VaultClient) -> bytes:
            copied = Copied(text)
            maker = BackupMaker(
                self.folders,
                store=copied,
                records=copied,
                journal=copied,
                data=copied,
                vault=vault,
                version="1",
                node="node-1",
            )
            prepared = await maker.prepare()
            try:
                return b"".join([piece async for piece in prepared.pieces()])
            finally:
                await prepared.close()

        return bytes(self.using(made))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("node"))
    made.using(lambda vault: vault.data_key("", Purpose.STORE))
    yield made
    made.vault.close()


@pytest.fixture(scope="module")
def two(node: Node) -> tuple[bytes, bytes]:
    """An older and a newer backup, with what is in every part changed in between."""
    older = node.backup(b"older")
    node.using(lambda vault: vault.rotate_data_keys(""))
    (node.folders.bundles / ("b" * 64 + ".sealed")).write_bytes(b"sealed")
    return older, node.backup(b"newer")


def files_of(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


def manifest_in(data: bytes) -> Manifest:
    return msgspec.json.decode(files_of(data)["manifest.json"], type=Manifest)


def archive(files: dict[str, bytes], like: Manifest, **changes: Any) -> bytes:
    """Return an archive of files, with all of `like` in its manifest but their list."""
    entries = tuple(
        Entry(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    text = encode(replace(like, files=entries, **changes))
    parts = [header("manifest.json", len(text)), text, padding(len(text))]
    for name, data in files.items():
        parts += [header(name, len(data)), data, padding(len(data))]
    return b"".join([*parts, END])


def mixed(older: bytes, newer: bytes, wanted: str) -> dict[str, bytes]:
    """Return the newer one's files, those of which the names begin so from the older one."""
    old, new = files_of(older), files_of(newer)
    names = (old.keys() | new.keys()) - {"manifest.json"}
    from_old = {name for name in old if name.startswith(wanted)}
    gone = {name for name in new if name.startswith(wanted)} - from_old
    return {name: (old if name in from_old else new)[name] for name in sorted(names - gone)
            if name in from_old or name in new}  # fmt: skip


def kept(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "b.tar").write_bytes(data)
    return tmp_path / "b.tar"


def refusal(file: Path, node: Node, **more: Any) -> BackupError:
    with pytest.raises(BackupError) as caught:
        require_signed(file, node.key, **more)
    assert caught.value.next_step
    return caught.value


def test_what_the_vault_has_signed_is_restored(node: Node, two: Any, tmp_path: Path) -> None:
    for data, number in zip(two, (1, 2), strict=True):
        file = kept(tmp_path, data)
        manifest = require_signed(file, node.key)
        assert manifest.signed is not None
        assert (manifest.signed.number, manifest.signed.node) == (number, "node-1")
        names = [part.name for part in manifest.signed.parts]
        assert names == ["bundles", "data/other", "data/shop", "records", "store", "vault"]
        restore(file, tmp_path / str(number), manifest)
        assert (tmp_path / str(number) / "data/other@1.db").read_bytes() == b"the same"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("store/", "store"),
        ("journal/records/", "records"),
        ("data/shop", "data/shop"),
        ("data/objects/shop", "data/shop"),
        ("vault/", "vault"),
        ("bundles/", "bundles"),
    ],
)
def test_a_part_of_another_backup_is_named(
    node: Node, two: Any, tmp_path: Path, wanted: str, part: str
) -> None:
    """Before: the store of an older one, with what was revoked since, in a newer one was taken."""
    older, newer = two
    files = mixed(older, newer, wanted)
    assert files != mixed(older, newer, "nothing")
    data = archive(files, manifest_in(newer))
    assert part in refusal(kept(tmp_path, data), node).message
    # The list of parts as it would be, which nothing but the signature tells.
    signed = manifest_in(newer).signed
    assert signed is not None
    entries = manifest_in(data).files
    data = archive(files, manifest_in(newer), signed=replace(signed, parts=parts_of(entries)))
    told = refusal(kept(tmp_path, data), node).message
    assert "not what was signed" in told or "cannot be verified" in told
    # The signature of the other one.
    data = archive(files, manifest_in(newer), signed=manifest_in(older).signed)
    assert "not as its node has signed it" in refusal(kept(tmp_path, data), node).message
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_what_is_left_out_or_put_in_is_named(node: Node, two: Any, tmp_path: Path) -> None:
    files = files_of(two[1])
    files.pop("manifest.json")
    without = {name: data for name, data in files.items() if name != "data/other@1.db"}
    more = {**files, "data/third@1.db": b"planted"}
    for found, part in ((without, "data/other"), (dict(sorted(more.items())), "data/third")):
        file = kept(tmp_path, archive(found, manifest_in(two[1])))
        assert part in refusal(file, node).message


@pytest.mark.parametrize("what", ["created_at", "version", "number", "node", "signature"])
def test_what_a_backup_says_of_itself_is_signed(
    node: Node, two: Any, tmp_path: Path, what: str
) -> None:
    manifest = manifest_in(two[1])
    signed = manifest.signed
    assert isinstance(signed, Signed)
    values = {"created_at": 1.0, "version": "9", "number": 9, "node": "other", "signature": b"x"}
    if what in Manifest.__struct_fields__:
        changes = {what: values[what]}
    else:
        changes = {"signed": replace(signed, **{what: values[what]})}
    files = files_of(two[1])
    files.pop("manifest.json")
    file = kept(tmp_path, archive(files, manifest, **changes))
    assert "not what was signed" in refusal(file, node).message
    # By no name: whoever has the key is told that it is wrong.
    name = loss_of(read_manifest(file))
    assert "not what was signed" in refusal(file, node, accepted_losses=[name]).message


def test_one_without_a_signature_is_taken_by_its_name_alone(
    node: Node, two: Any, tmp_path: Path
) -> None:
    files = files_of(two[1])
    files.pop("manifest.json")
    file = kept(tmp_path, archive(files, manifest_in(two[1]), format=1, signed=None))
    told = refusal(file, node)
    name = loss_of(read_manifest(file))
    assert f"--accept-loss {name}" in str(told.next_step)
    manifest = require_signed(file, "file:/nowhere", [name])
    assert manifest.signed is None
    other = kept(tmp_path, archive({**files, "store/records.db": b"other"}, manifest))
    assert "no signature" in refusal(other, node, accepted_losses=[name, "backup/"]).message
    for format, signed in ((1, manifest_in(two[1]).signed), (2, None)):
        bad = archive(files, manifest_in(two[1]), format=format, signed=signed)
        assert "format" in refusal(kept(tmp_path, bad), node).message


def test_without_the_key_it_is_not_taken_but_by_its_name(
    node: Node, two: Any, tmp_path: Path
) -> None:
    file = kept(tmp_path, two[1])
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    name = loss_of(read_manifest(file))
    for key in (f"file:{other}", f"file:{tmp_path}/nothing"):
        with pytest.raises(BackupError, match="cannot be verified") as caught:
            require_signed(file, key)
        assert "--master-key" in str(caught.value.next_step)
        assert name in str(caught.value.next_step)
        assert require_signed(file, key, [name]) == read_manifest(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "other.key"]


def test_the_key_is_found_among_those_of_the_same_user_alone(
    node: Node, two: Any, tmp_path: Path
) -> None:
    file = kept(tmp_path, two[1])
    keys = tmp_path / "master-keys"
    place = f"file:{keys}/of-the-folder"
    assert place_of_key(file, place) == place
    keys.mkdir(mode=0o700)
    (keys / "a").write_text("no key at all")
    (keys / "b").write_bytes(os.urandom(32).hex().encode())
    (keys / "folder").mkdir()
    for path in (keys / "a", keys / "b"):
        path.chmod(0o600)
    assert place_of_key(file, place) == place, "where the backup says that its key was is not used"
    found = keys / "c"
    found.write_bytes(Path(node.key.removeprefix("file:")).read_bytes())
    found.chmod(0o644)
    assert place_of_key(file, place) == place, "others can read it"
    found.chmod(0o600)
    assert place_of_key(file, place) == f"file:{found}"
    assert require_signed(file, place_of_key(file, place)).signed is not None
    (keys / "of-the-folder").write_bytes(os.urandom(32).hex().encode())
    assert place_of_key(file, place) == place, "a key in that place is the one that is meant"


def test_a_name_that_a_terminal_would_obey_is_no_part(node: Node, two: Any, tmp_path: Path) -> None:
    signed = manifest_in(two[1]).signed
    assert signed is not None
    bad = replace(signed.parts[0], name="store\x1b[2J")
    files = files_of(two[1])
    files.pop("manifest.json")
    data = archive(files, manifest_in(two[1]), signed=replace(signed, parts=(bad,)))
    assert "\x1b" not in refusal(kept(tmp_path, data), node).message
