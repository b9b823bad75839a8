"""Bundles that come as their code alone: put together from what is known to who brings it."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from casemate.admission import Catalogue
from casemate.api.control import Deploys
from casemate.blobs import FolderBlobs
from casemate.build import ArchiveError, pack, verify
from casemate.gateway import bundles, uploaded_bundles, uploads
from casemate.gateway.bundles import BundleStore
from casemate.gateway.fetched_bundles import BundleRow, FetchedBundles
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.turns import Turns
from casemate.gateway.uploaded_bundles import UploadedBundles
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import ConflictError, NotFoundError, QuotaError, UnavailableError
from support.archives import Keys
from support.core import spec

LIBRARY = b"x = 1\n" * 1000
ADA, EVE = "user:ada", "user:eve"


def everything(_project: str, _function: str) -> bool:
    return True


def nothing(_project: str, _function: str) -> bool:
    return False


def only(*names: str) -> Deploys:
    return lambda project, function: f"{project}/{function}" in names


class Made:
    """A bundle in a folder, and its archives."""

    def __init__(
        self,
        root: Path,
        code: bytes,
        *,
        project: str = "t",
        function: str = "f",
        library: bytes | None = LIBRARY,
        more: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        contents = {"code/app.py": code, **more}
        if library is not None:
            contents["deps/lib.py"] = library
        files = tuple(
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(contents.items())
        )
        self.manifest = BundleManifest(
            project=project,
            function=spec(function),
            lock_sha256=None if library is None else "1" * 64,
            files=files,
        )
        self.digest = self.manifest.digest()
        self.name = (project, function)
        self.folder = root / self.digest
        for path, data in contents.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)
        (self.folder / "bundle.json").write_bytes(self.manifest.canonical())
        self.whole = self.packed(root / f"{self.digest}.whole")
        self.code = self.packed(root / f"{self.digest}.code", *self.manifest.pieces())

    def packed(self, file: Path, *without: str) -> Path:
        with file.open("wb") as target:
            pack(self.folder, target, without=without)
        return file


class Rows:
    """The rows that nodes of a cluster share."""

    def __init__(self) -> None:
        self.all: dict[str, BundleRow] = {}

    async def find(self, digest: str) -> BundleRow | None:
        return self.all.get(digest)

    async def keep(self, row: BundleRow) -> BundleRow | None:
        before = self.all.get(row.digest)
        self.all[row.digest] = row
        return before

    async def forget(self, digest: str, blob: str) -> bool:
        return self.all.pop(digest, None) is not None

    async def rows(self) -> list[BundleRow]:
        return list(self.all.values())


class Node:
    """Uploads to a real store of bundles."""

    def __init__(
        self, root: Path, keys: Keys | None = None, shared: tuple[FolderBlobs, Rows] | None = None
    ) -> None:
        self.made, self.sealed, self.unpacked = root / "made", root / "sealed", root / "memory"
        for folder in (self.made, self.sealed, self.unpacked):
            folder.mkdir(parents=True)
        self.catalogue, self.keys, self.shared = Catalogue(), keys or Keys(), shared
        self.deployed: list[DeployedFunction] = []
        self.open()

    def open(self) -> None:
        """Begin anew on what is on the disk."""
        own = SealedFolder(self.sealed)
        kept = own if self.shared is None else FetchedBundles(own, *self.shared, capacity=1 << 20)
        self.store = BundleStore(kept, self.unpacked, self.keys, capacity=1 << 20)
        self.uploaded = UploadedBundles(self.catalogue, self.store, Turns(), lambda who: who)

    def restart(self) -> None:
        for folder in self.unpacked.iterdir():
            shutil.rmtree(folder)
        self.open()

    def bundle(self, code: bytes, **of: object) -> Made:
        return Made(self.made, code, **of)  # type: ignore[arg-type]

    async def put(
        self, made: Made, by: str = ADA, deploys: Deploys = everything, *, code_only: bool = True
    ) -> bool:
        archive = made.code if code_only else made.whole
        return await self.uploaded.put_bundle(
            made.digest, archive, by=by, deploys=deploys, partial=code_only
        )

    async def live(self, made: Made) -> Made:
        """Have a bundle be deployed."""
        await self.put(made, code_only=False)
        self.uploaded.deployed(made.digest)
        project, function = made.name
        version = Version(
            project=project,
            function=function,
            number=1,
            digest=made.digest,
            spec=made.manifest.function,
            created_at=1.0,
            created_by=ADA,
        )
        targets = (AliasTarget(version=1, weight=100),)
        alias = Alias(
            project=project, function=function, name=LIVE, targets=targets, changed_at=1.0
        )
        self.deployed.append(
            DeployedFunction(project=project, name=function, versions=(version,), aliases=(alias,))
        )
        self.catalogue.replace(self.deployed)
        return made

    async def has(
        self, made: Made, by: str = ADA, deploys: Deploys = everything, name: str = ""
    ) -> bool:
        project, function = name.split("/") if name else made.name
        pieces = made.manifest.pieces().values()
        found = await self.uploaded.find_pieces(project, function, pieces, by=by, deploys=deploys)
        return bool(pieces) and found.keys() >= set(pieces)

    def left(self) -> set[str]:
        return {path.name for path in (*self.sealed.iterdir(), *self.unpacked.iterdir())}


def on_node(root: Path, scene: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(scene(Node(root)), 20)

    asyncio.run(run())


def test_what_is_put_together_is_the_bundle_that_would_have_come_whole(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        second = node.bundle(b"two")
        assert await node.has(second)
        assert await node.put(second)
        assert second.code.stat().st_size < second.whole.stat().st_size
        verify(node.unpacked / second.digest)
        # Sealed whole: the other may go, and the node start anew.
        await node.store.remove(node.deployed[0].versions[0].digest)
        node.restart()
        assert (await node.store.manifest(second.digest)).digest() == second.digest
        verify(node.unpacked / second.digest)

    on_node(tmp_path, scene)


def test_one_changed_package_is_sent_without_the_others(tmp_path: Path) -> None:
    """One of them changed, and all were sent again."""
    big = {"deps/big/__init__.py": b"1" * 5000, "deps/big/data/x": b"2"}
    new = {"deps/new/__init__.py": b"y = 1\n"}

    async def scene(node: Node) -> None:
        first = node.bundle(b"one", more=big)
        await node.live(first)
        second = node.bundle(b"one", library=b"x = 2\n", more=big | new)
        pieces = second.manifest.pieces()
        found = await node.uploaded.find_pieces(
            "t", "f", pieces.values(), by=ADA, deploys=everything
        )
        held = [name for name, piece in pieces.items() if piece in found]
        assert (held, set(pieces)) == (["big"], {"big", "lib.py", "new"})
        part = second.packed(tmp_path / "part", *held)
        assert await node.uploaded.put_bundle(
            second.digest, part, by=ADA, deploys=everything, partial=True
        )
        verify(node.unpacked / second.digest)
        # Of two bundles, and what is held but came all the same.
        third = node.bundle(b"three", more=big | new)
        part = third.packed(tmp_path / "part", "lib.py", "new")
        assert await node.uploaded.put_bundle(
            third.digest, part, by=ADA, deploys=everything, partial=True
        )
        verify(node.unpacked / third.digest)
        # What is neither here nor sent is missed.
        fourth = node.bundle(b"four", more=big | {"deps/none.py": b"z"})
        before = node.left()
        for without in (("none.py",), ("big", "none.py")):
            part = fourth.packed(tmp_path / "part", *without)
            with pytest.raises(ArchiveError, match=r"none\.py"):
                await node.uploaded.put_bundle(
                    fourth.digest, part, by=ADA, deploys=everything, partial=True
                )
        assert node.left() == before

    on_node(tmp_path, scene)


def test_what_was_deployed_before_the_node_started_is_found(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        node.restart()
        second = node.bundle(b"two")
        assert await node.has(second) and await node.put(second)

    on_node(tmp_path, scene)


def test_functions_of_one_project_and_uploads_of_ones_own_do_as_well(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        first = node.bundle(b"one")
        await node.put(first, code_only=False)  # and not deployed yet
        beside = node.bundle(b"one", function="g")
        assert await node.has(beside) and await node.put(beside)
        assert not await node.has(beside, by=EVE, deploys=only("t/g")), "it is not deployed"
        await node.live(node.bundle(b"three", function="h"))
        assert await node.has(beside, by=EVE, deploys=only("t/g", "t/h"))

    on_node(tmp_path, scene)


def test_of_thousands_of_pieces_no_more_are_kept_than_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle may have 100,000, each of which the gateway kept for as long as it ran."""
    monkeypatch.setattr(bundles, "MAX_PIECES", 5)
    many = {f"deps/p{number}.py": b"" for number in range(9)}

    async def scene(node: Node) -> None:
        first = node.bundle(b"one", more=many)
        await node.put(first, code_only=False)
        known = node.store.known(first.digest)
        assert known is not None and len(known.pieces) == 5
        names = list(first.manifest.pieces())[:5]
        second = node.bundle(b"two", more=many)
        part = second.packed(tmp_path / "part", *names)
        assert await node.uploaded.put_bundle(
            second.digest, part, by=ADA, deploys=everything, partial=True
        )
        verify(node.unpacked / second.digest)

    on_node(tmp_path, scene)


def test_nothing_is_told_or_taken_of_what_one_may_not_deploy(tmp_path: Path) -> None:
    """Neither another function's, nor another project's, whoever knows what is in them."""

    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        await node.live(node.bundle(b"one", project="other", function="f"))
        same, stranger = node.bundle(b"two", function="g"), node.bundle(b"two", project="mine")
        theirs = node.bundle(b"two", project="other")
        for deploys in (only("t/g"), nothing):
            assert not await node.has(same, by=EVE, deploys=deploys)
            with pytest.raises(ConflictError):
                await node.put(same, by=EVE, deploys=deploys)
        for claimed, name in (
            (stranger, ""),
            (theirs, "mine/f"),
            (theirs, "t/f"),
            (same, "mine/f"),
        ):
            assert not await node.has(claimed, by=EVE, deploys=only("mine/f", "t/g"), name=name)
        # Who may deploy in both projects still puts none together from both.
        assert not await node.has(stranger) and not await node.has(theirs, name="t/f")
        for claimed in (stranger, theirs):
            with pytest.raises(ConflictError):
                await node.put(claimed, by=EVE, deploys=only("mine/f", "t/f"))

    on_node(tmp_path, scene)


def test_a_refusal_is_the_same_whether_somebody_has_them_or_nobody(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one", project="other"))
        told = []
        for library in (LIBRARY, b"of nobody"):
            wanted = node.bundle(b"two", project="mine", library=library)
            with pytest.raises(ConflictError) as refused:
                await node.put(wanted, by=EVE, deploys=only("mine/f"))
            told.append(str(refused.value))
        assert told[0] == told[1]

    on_node(tmp_path, scene)


def test_other_or_no_dependencies_are_not_those(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        for other in (node.bundle(b"two", library=b"y = 2"), node.bundle(b"two", library=None)):
            assert not await node.has(other)
            with pytest.raises(ConflictError, match="put together"):
                await node.put(other)
        assert await node.put(node.bundle(b"two"))

    on_node(tmp_path, scene)


@pytest.mark.parametrize("how", ["removed", "damaged", "changed in memory"])
def test_what_is_gone_or_changed_between_question_and_upload_is_not_used(
    tmp_path: Path, how: str
) -> None:
    async def scene(node: Node) -> None:
        first = await node.live(node.bundle(b"one"))
        second = node.bundle(b"two")
        assert await node.has(second)
        before = node.left()
        if how == "removed":
            await node.store.remove(first.digest)
            before = node.left()
        elif how == "damaged":
            node.store.damaged[first.digest] = "it was changed on the disk"
        else:
            (node.unpacked / first.digest / "deps/lib.py").write_bytes(b"z" * len(LIBRARY))
        with pytest.raises((ConflictError, NotFoundError, ArchiveError)):
            await node.put(second)
        assert node.left() == before
        assert await node.put(second, code_only=False), "the whole is taken"

    on_node(tmp_path, scene)


def test_one_that_goes_while_it_is_looked_for_is_missed(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        first, second = await node.live(node.bundle(b"one")), node.bundle(b"two")
        put = node.store.put

        async def late(digest: str, archive: Path, bases: Mapping[str, str]) -> None:
            await node.store.remove(first.digest)
            await put(digest, archive, bases)

        node.store.put = late  # type: ignore[method-assign]
        with pytest.raises(NotFoundError):
            await node.put(second)
        assert node.left() == set()

    on_node(tmp_path, scene)


def test_code_that_is_not_that_of_the_bundle_leaves_nothing(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        before, second, third = node.left(), node.bundle(b"two"), node.bundle(b"three")
        cut = tmp_path / "cut"
        cut.write_bytes(second.code.read_bytes()[:-40])
        for archive in (cut, third.code, third.whole):
            with pytest.raises(ArchiveError):
                await node.uploaded.put_bundle(
                    second.digest, archive, by=ADA, deploys=everything, partial=True
                )
            assert node.left() == before
            assert not await node.uploaded.has_bundle(second.digest, by=ADA, deploys=nothing)

    on_node(tmp_path, scene)


def test_the_answer_does_not_tell_that_somebody_has_the_bundle(tmp_path: Path) -> None:
    """One that is there is put together all the same, by who has not brought it."""

    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        second = node.bundle(b"two")
        assert await node.put(second)
        _, archive = second.digest, tmp_path / "cut"
        archive.write_bytes(second.code.read_bytes()[:-40])
        with pytest.raises(ArchiveError):
            await node.uploaded.put_bundle(
                second.digest, archive, by=EVE, deploys=only("t/f"), partial=True
            )
        assert await node.put(second, by=EVE, deploys=only("t/f"))
        with pytest.raises(ConflictError):
            await node.put(second, by="user:bob", deploys=nothing)

    on_node(tmp_path, scene)


def test_what_waits_is_counted_whole_however_little_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who may deploy had the node keep any number of large bundles, for some bytes each."""

    async def scene(node: Node) -> None:
        first = await node.live(node.bundle(b"one"))
        base = node.store.packed_size(first.digest)
        second, third = node.bundle(b"two"), node.bundle(b"three")
        monkeypatch.setattr(uploads, "MAX_BYTES", base + second.code.stat().st_size)
        assert await node.put(second)
        whole = node.store.packed_size(second.digest) + third.code.stat().st_size
        with pytest.raises(QuotaError, match=f"; {whole} bytes more"):
            await node.put(third)
        node.uploaded.deployed(second.digest)
        assert await node.put(third)

    on_node(tmp_path, scene)


def test_the_room_on_the_disk_is_asked_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        first, second = await node.live(node.bundle(b"one")), node.bundle(b"two")
        whole = node.store.packed_size(first.digest) + second.code.stat().st_size
        monkeypatch.setattr("casemate.gateway.bundles.beside_reserve", lambda _: whole - 1)
        with pytest.raises(UnavailableError, match="1 bytes are missing"):
            await node.put(second)

    on_node(tmp_path, scene)


def test_a_whole_that_is_larger_than_an_archive_may_be_is_not_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        monkeypatch.setattr(uploaded_bundles, "MAX_ARCHIVE_BYTES", 1000)
        with pytest.raises(ConflictError, match="more than 1000 bytes"):
            await node.put(node.bundle(b"two"))

    on_node(tmp_path, scene)


def test_a_node_of_a_cluster_puts_together_what_another_one_has_taken(tmp_path: Path) -> None:
    async def scene(_alone: Node) -> None:
        (tmp_path / "blobs").mkdir()
        shared = (FolderBlobs(tmp_path / "blobs"), Rows())
        keys = Keys()
        one, two = (Node(tmp_path / name, keys, shared) for name in ("one", "two"))
        await one.live(one.bundle(b"one"))
        two.catalogue.replace(one.deployed)
        second = two.bundle(b"two")
        assert await two.has(second) and await two.put(second)
        # What is fetched for it is as whole on the first.
        assert (await one.store.manifest(second.digest)).digest() == second.digest
        verify(one.unpacked / second.digest)
        # Before this node has heard of what is deployed it has nothing to put together from.
        two.restart()
        two.catalogue.replace(())
        third = two.bundle(b"three")
        assert not await two.has(third)
        with pytest.raises(ConflictError):
            await two.put(third)

    on_node(tmp_path, scene)


def test_many_at_the_same_time_are_each_whole(tmp_path: Path) -> None:
    async def scene(node: Node) -> None:
        await node.live(node.bundle(b"one"))
        made = [node.bundle(b"%d" % number) for number in range(8)]
        await asyncio.gather(*(node.put(one) for one in (*made, *made)))
        for one in made:
            verify(node.unpacked / one.digest)

    on_node(tmp_path, scene)


def test_of_two_at_once_of_which_one_is_wrong_the_other_counts_and_goes_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept and forgotten counted for nobody: it filled the disk until a restart."""

    async def scene(node: Node) -> None:
        made = node.bundle(b"one")
        wrong = made.whole.with_suffix(".wrong")
        wrong.write_bytes(made.whole.read_bytes()[:-1])

        def put(archive: Path) -> Awaitable[bool]:
            return node.uploaded.put_bundle(made.digest, archive, by=ADA, deploys=nothing)

        first, second = await asyncio.gather(put(made.whole), put(wrong), return_exceptions=True)
        assert first is True and isinstance(second, ArchiveError)
        assert await node.uploaded.has_bundle(made.digest, by=ADA, deploys=nothing)
        monkeypatch.setattr(uploads, "KEPT_SECONDS", -1.0)
        await node.uploaded.require_room("0" * 64, 1, by=ADA, deploys=nothing)
        assert not node.left()

    on_node(tmp_path, scene)


def test_room_is_asked_for_before_a_build_unless_what_waits_can_be_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        first = node.bundle(b"one")
        await node.put(first, code_only=False)
        await node.uploaded.require_any_room([("t", "f"), ("t", "g")], by=ADA)
        monkeypatch.setattr(uploads, "MAX_COUNT", 1)
        with pytest.raises(QuotaError, match="waiting for a deploy"):
            await node.uploaded.require_any_room([("t", "f"), ("t", "g")], by=ADA)
        await node.uploaded.require_any_room([("t", "f")], by=ADA)
        await node.uploaded.require_any_room([("t", "g")], by=EVE)
        monkeypatch.setattr("casemate.gateway.bundles.beside_reserve", lambda _: 0)
        with pytest.raises(UnavailableError, match="disk"):
            await node.uploaded.require_any_room([("t", "g")], by=EVE)

    on_node(tmp_path, scene)


def test_a_deploy_that_may_change_nothing_needs_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        live = node.bundle(b"one")
        await node.live(live)
        monkeypatch.setattr(uploads, "MAX_COUNT", 0)
        await node.uploaded.require_any_room([live.name], by=ADA)
        with pytest.raises(QuotaError):
            await node.uploaded.require_any_room([live.name, ("t", "g")], by=ADA)
        assert not await node.put(live, code_only=False), "nothing of it is kept anew"
        with pytest.raises(QuotaError):
            await node.put(node.bundle(b"two"), code_only=False)

    on_node(tmp_path, scene)
