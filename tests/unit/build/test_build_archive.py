from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.build.archive import QUICK_LEVEL, manifest_of, pack, unpack, verify
from casemate.build.errors import ArchiveError
from casemate.build.tar_format import END, entry_header, padding
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import FunctionSpec
from casemate.model.grant import BucketSpec, Grant, GrantKind, QueueSpec, Resources

GRANTED = FunctionSpec(
    name="hello",
    handler="app:handler",
    python="3.12",
    grants=(Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",)),),
)
FILES = {"code/app.py": b"x = 1\n", "code/empty": b"", "deps/p/__init__.py": b"y" * 1000}
MakeBundle = Callable[..., Path]


@pytest.fixture
def bundle(tmp_path: Path, make_bundle: MakeBundle) -> Path:
    return make_bundle(tmp_path / "built", FILES)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A folder to unpack into; nothing but whole bundles may be in it afterwards."""
    folder = tmp_path / "store"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        verify(path)


def packed(bundle: Path) -> bytes:
    target = io.BytesIO()
    assert pack(bundle, target) == len(target.getvalue())
    return target.getvalue()


def refuse(
    data: bytes, store: Path, digest: str, match: str | None = None, **options: float
) -> None:
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(io.BytesIO(data), store / digest, digest, **options)
    assert str(store) not in str(caught.value)
    assert list(store.iterdir()) == []


def entry(path: str, data: bytes) -> bytes:
    return entry_header(path, len(data)) + data + padding(len(data))


def test_a_bundle_survives_the_way(bundle: Path, store: Path) -> None:
    data = packed(bundle)
    manifest = unpack(io.BytesIO(data), store / bundle.name, bundle.name)
    assert manifest.digest() == bundle.name
    for path, content in FILES.items():
        found = store / bundle.name / path
        assert found.read_bytes() == content
        assert found.stat().st_mode & 0o7777 == 0o644
        assert found.parent.stat().st_mode & 0o7777 == 0o755
    assert packed(store / bundle.name) == data
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["bundle.json", *sorted(FILES)]


def test_a_sound_bundle_is_kept_and_a_damaged_one_replaced(bundle: Path, store: Path) -> None:
    data, target = packed(bundle), store / bundle.name
    unpack(io.BytesIO(data), target, bundle.name)
    before = target.stat().st_ino
    unpack(io.BytesIO(data), target, bundle.name)
    assert target.stat().st_ino == before
    (target / "code/app.py").write_bytes(b"x = 2\n")
    unpack(io.BytesIO(data), target, bundle.name)
    assert (target / "code/app.py").read_bytes() == FILES["code/app.py"]


def test_every_cut_is_refused(bundle: Path, store: Path) -> None:
    data = packed(bundle)
    for length in range(0, len(data), 7):
        refuse(data[:length], store, bundle.name)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.data())
def test_any_changed_byte_is_refused(bundle: Path, store: Path, data: st.DataObject) -> None:
    plain = bytearray(gzip.decompress(packed(bundle)))
    position = data.draw(st.integers(0, len(plain) - 1))
    plain[position] ^= data.draw(st.integers(1, 255))
    refuse(gzip.compress(bytes(plain), 1), store, bundle.name)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.binary(max_size=2000), st.booleans())
def test_noise_is_refused(bundle: Path, store: Path, noise: bytes, compressed: bool) -> None:
    refuse(gzip.compress(noise, 1) if compressed else noise, store, bundle.name)


def test_nothing_may_follow(bundle: Path, store: Path) -> None:
    data = packed(bundle)
    plain = gzip.decompress(data)
    refuse(data + b"\0", store, bundle.name, "goes on")
    refuse(data + data, store, bundle.name, "goes on")
    refuse(gzip.compress(plain + bytes(512)), store, bundle.name, "goes on")
    refuse(gzip.compress(plain[: -len(END)] + entry("code/z", b"") + END), store, bundle.name)


def with_member(bundle: Path, change: Callable[[tarfile.TarInfo], object]) -> bytes:
    """Pack with the standard library, changing the entry of code/app.py."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in ["bundle.json", *sorted(FILES)]:
            content = (bundle / path).read_bytes()
            info = tarfile.TarInfo(path)
            info.size = len(content)
            if path == "code/app.py":
                change(info)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    # The standard library pads to 10 KiB records; an archive of ours ends after two blocks.
    plain = gzip.decompress(target.getvalue()).rstrip(b"\0")
    plain += padding(len(plain)) + END
    return gzip.compress(plain)


def test_the_standard_library_writes_the_same(bundle: Path, store: Path) -> None:
    data = with_member(bundle, lambda _: None)
    unpack(io.BytesIO(data), store / bundle.name, bundle.name)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        *(("type", kind) for kind in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"g", b"x")),
        *(("name", n) for n in ("../evil", "/etc/evil", "code/../../evil", "code/APP.py")),
        *(("name", n) for n in ("code//app.py", "./code/app.py", "code/app.py/", "bundle.json")),
        *(("mode", 0o4755), ("uid", 1), ("mtime", 1), ("uname", "root"), ("linkname", "/etc")),
        ("pax_headers", {"path": "../evil"}),
        ("pax_headers", {"size": "0"}),
        ("pax_headers", {"GNU.sparse.major": "1", "GNU.sparse.name": "../evil"}),
        ("pax_headers", {"comment": "x"}),
        ("size", 5),
    ],
)
def test_every_trick_with_an_entry_is_refused(
    bundle: Path, store: Path, tmp_path: Path, attribute: str, value: object
) -> None:
    data = with_member(bundle, lambda info: setattr(info, attribute, value))
    refuse(data, store, bundle.name)
    assert not (tmp_path / "evil").exists()
    assert not Path("/etc/evil").exists()


def test_a_duplicate_a_missing_and_an_unordered_file_are_refused(bundle: Path, store: Path) -> None:
    head = entry("bundle.json", (bundle / "bundle.json").read_bytes())
    first, *others = (entry(path, FILES[path]) for path in sorted(FILES))
    rest = b"".join(others)
    for body in (first + first + rest, rest, rest + first, first + b"".join(others[:-1]), b""):
        refuse(gzip.compress(head + body + END), store, bundle.name, "expected exactly the file")
    refuse(gzip.compress(first + head + rest + END), store, bundle.name, "begins with a file named")


def hostile(paths: list[str], **changes: object) -> tuple[bytes, str]:
    """Return an archive with a manifest that a build would never write, and its true digest."""
    empty = hashlib.sha256(b"").hexdigest()
    manifest = BundleManifest(
        project="demo",
        function=FunctionSpec(name="hello", handler="app:handler", python="3.12"),
        lock_sha256=None,
        files=tuple(BundleFile(path=p, size=0, sha256=empty) for p in paths),
    )
    manifest = msgspec.structs.replace(manifest, **changes)
    body = b"".join(entry(p, b"") for p in paths)
    return gzip.compress(entry("bundle.json", manifest.canonical()) + body + END), manifest.digest()


@pytest.mark.parametrize(
    "paths",
    [
        *(["code/../../evil"], ["/etc/evil"], ["evil"], ["code/"], ["code"], ["code//a"]),
        *(["code/./a"], ["code/a\\b"], ["code/a\nb"], ["code/a\x00b"], ["code/" + "a" * 300]),
        *(["code/A", "code/a"], ["code/b", "code/a"], ["code/a", "code/a"], ["code/a", "code/a/b"]),
        *(["code/e\u0301", "code/é"], ["code/a\u202e"], ["code/" + "d/" * 40 + "a"]),
        ["bundle.json"],
    ],
)
def test_paths_are_checked_even_if_the_digest_fits(
    store: Path, tmp_path: Path, paths: list[str]
) -> None:
    data, digest = hostile(paths)
    refuse(data, store, digest, r"bundle\.json")
    assert {p.name for p in tmp_path.iterdir()} == {"store"}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"project": "../evil"},
        {"project": "demo\n"},
        {"lock_sha256": "x"},
        {"resources": Resources(buckets=(BucketSpec(name="uploads"),))},
        {"function": GRANTED},
        {"function": GRANTED, "resources": Resources(queues=(QueueSpec(name="uploads"),))},
        {"files": (BundleFile(path="code/a", size=-1, sha256="0" * 64),)},
        {"files": (BundleFile(path="code/a", size=2**31, sha256="0" * 64),)},
        {"files": (BundleFile(path="code/a", size=0, sha256="0" * 64 + "\n"),)},
    ],
)
def test_manifests_are_checked_even_if_the_digest_fits(
    store: Path, changes: dict[str, object]
) -> None:
    data, digest = hostile([], **changes)
    refuse(data, store, digest, r"bundle\.json")


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format": 1e999}', b"1" * 10_000],
)
def test_manifests_that_are_none_are_refused(store: Path, text: bytes) -> None:
    digest = hashlib.sha256(text).hexdigest()
    refuse(gzip.compress(entry("bundle.json", text) + END), store, digest, r"bundle\.json")


def test_only_the_canonical_encoding_is_taken(bundle: Path, store: Path) -> None:
    text = (bundle / "bundle.json").read_bytes()
    for other in (text + b"\n", text.replace(b'"format":1', b'"format": 1'), b'{"x":1,' + text[1:]):
        digest = hashlib.sha256(other).hexdigest()
        for name in (digest, bundle.name):
            refuse(gzip.compress(entry("bundle.json", other)), store, name, "canonical")


def test_another_bundle_is_refused(bundle: Path, store: Path) -> None:
    refuse(packed(bundle), store, "0" * 64, "expected 0000")


@pytest.mark.parametrize("digest", ["", "x", "../" + "0" * 61, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused(bundle: Path, store: Path, digest: str) -> None:
    with pytest.raises(ArchiveError, match="not a digest"):
        unpack(io.BytesIO(packed(bundle)), store / "x", digest)


def test_a_gzip_bomb_stops_early(store: Path) -> None:
    size = 512 * 1024 * 1024
    zeros = hashlib.sha256(b"").hexdigest()
    data, digest = hostile([], files=(BundleFile(path="code/a", size=size, sha256=zeros),))
    head = gzip.decompress(data)[: -len(END)]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = squeeze.compress(head + entry_header("code/a", size))
    bomb += b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(40))
    started = time.process_time()
    refuse(bomb + squeeze.flush(), store, digest, "compressed more than 200 times")
    assert time.process_time() - started < 5


def test_a_huge_manifest_is_refused_unread(store: Path) -> None:
    header = entry_header("bundle.json", 33 * 1024 * 1024)
    refuse(gzip.compress(header), store, "0" * 64, "expected exactly the file bundle.json")


def test_a_slow_sender_is_cut_off(bundle: Path, store: Path) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            time.sleep(0.02)
            return super().read(1)

    with pytest.raises(ArchiveError, match="too long"):
        unpack(Slow(packed(bundle)), store / bundle.name, bundle.name, timeout=0.1)
    assert list(store.iterdir()) == []


def test_a_broken_source_leaves_nothing(bundle: Path, store: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise ConnectionResetError
            return super().read(100)

    with pytest.raises(ConnectionResetError):
        unpack(Broken(packed(bundle)), store / bundle.name, bundle.name)
    assert list(store.iterdir()) == []


def damage_content(bundle: Path) -> None:
    (bundle / "code/app.py").write_bytes(b"x = 2\n")


def damage_link(bundle: Path) -> None:
    (bundle / "code/app.py").unlink()
    (bundle / "code/app.py").symlink_to("/etc/passwd")


def damage_added(bundle: Path) -> None:
    (bundle / "code/more.py").write_bytes(b"")


def damage_missing(bundle: Path) -> None:
    (bundle / "code/empty").unlink()


def damage_pipe(bundle: Path) -> None:
    (bundle / "code/empty").unlink()
    os.mkfifo(bundle / "code/empty")


def damage_manifest(bundle: Path) -> None:
    (bundle / "bundle.json").unlink()


DAMAGES = [
    *(damage_content, damage_link, damage_added, damage_missing, damage_pipe, damage_manifest)
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_on_disk_is_found(bundle: Path, damage: Callable[[Path], None]) -> None:
    verify(bundle)
    damage(bundle)
    with pytest.raises(ArchiveError):
        verify(bundle)
    if damage is not damage_added:
        with pytest.raises(ArchiveError):
            pack(bundle, io.BytesIO())


def test_a_folder_of_another_name_is_refused(bundle: Path) -> None:
    other = bundle.rename(bundle.with_name("0" * 64))
    with pytest.raises(ArchiveError, match="expected 0000"):
        verify(other)


def test_what_is_packed_quickly_is_the_same_bundle(bundle: Path, store: Path) -> None:
    target = io.BytesIO()
    pack(bundle, target, level=QUICK_LEVEL)
    made = store / bundle.name
    unpack(io.BytesIO(target.getvalue()), made, bundle.name)
    assert packed(made) == packed(bundle)


# -- code alone ----------------------------------------------------------------------------------

CHANGED = {**FILES, "code/app.py": b"x = 2\n"}


def code_of(bundle: Path) -> bytes:
    target = io.BytesIO()
    assert pack(bundle, target, without=("p",)) == len(target.getvalue())
    return target.getvalue()


@pytest.fixture
def next_bundle(tmp_path: Path, make_bundle: MakeBundle) -> Path:
    """The same with one line of its code changed."""
    return make_bundle(tmp_path / "next", CHANGED)


def test_code_alone_and_the_dependencies_of_another_are_the_whole(
    bundle: Path, next_bundle: Path, store: Path
) -> None:
    data = code_of(next_bundle)
    assert b"deps/p/__init__.py" not in gzip.decompress(data).replace(
        (next_bundle / "bundle.json").read_bytes(), b""
    )
    made = store / next_bundle.name
    unpack(io.BytesIO(data), made, next_bundle.name, pieces={"p": bundle})
    assert packed(made) == packed(next_bundle)
    assert (made / "deps/p/__init__.py").stat().st_ino != (
        bundle / "deps/p/__init__.py"
    ).stat().st_ino


def _other(bundle: Path) -> None:
    (bundle / "deps/p/__init__.py").write_bytes(b"z" * 1000)


def _longer(bundle: Path) -> None:
    (bundle / "deps/p/__init__.py").write_bytes(b"y" * 1001)


def _shorter(bundle: Path) -> None:
    (bundle / "deps/p/__init__.py").write_bytes(b"y" * 999)


def _gone(bundle: Path) -> None:
    (bundle / "deps/p/__init__.py").unlink()


def _link(bundle: Path) -> None:
    same = bundle.parent / "same"
    same.write_bytes(b"y" * 1000)
    (bundle / "deps/p/__init__.py").unlink()
    (bundle / "deps/p/__init__.py").symlink_to(same)


def _linked_folder(bundle: Path) -> None:
    (bundle / "deps/p").rename(bundle.parent / "p")
    (bundle / "deps/p").write_bytes(b"no folder")


@pytest.mark.parametrize("change", [_other, _longer, _shorter, _gone, _link, _linked_folder])
def test_dependencies_of_another_are_checked_like_those_that_come(
    bundle: Path, next_bundle: Path, store: Path, change: Callable[[Path], None]
) -> None:
    change(bundle)
    with pytest.raises(ArchiveError):
        unpack(
            io.BytesIO(code_of(next_bundle)),
            store / next_bundle.name,
            next_bundle.name,
            pieces={"p": bundle},
        )
    assert list(store.iterdir()) == []


def test_an_archive_of_code_alone_is_held_to_all_that_others_are(
    bundle: Path, next_bundle: Path, store: Path
) -> None:
    data = code_of(next_bundle)
    name = next_bundle.name
    refuse(data, store, name, "end mark")  # without the other's
    for refused in (data[:-9], data[: len(data) // 2], data + b"x"):
        with pytest.raises(ArchiveError):
            unpack(io.BytesIO(refused), store / name, name, pieces={"p": bundle})
    with pytest.raises(ArchiveError, match="too long"):
        unpack(io.BytesIO(data), store / name, name, pieces={"p": bundle}, timeout=-1.0)
    assert list(store.iterdir()) == []
    # What came although the other has it is taken as it came.
    (bundle / "deps/p/__init__.py").unlink()
    unpack(io.BytesIO(packed(next_bundle)), store / name, name, pieces={"p": bundle})


def test_what_an_archive_says_that_it_is_can_be_read_alone(next_bundle: Path) -> None:
    data = code_of(next_bundle)
    assert manifest_of(io.BytesIO(data), next_bundle.name).function.name == "hello"
    for other, digest in ((data, "a" * 64), (b"junk", next_bundle.name), (b"", next_bundle.name)):
        with pytest.raises(ArchiveError):
            manifest_of(io.BytesIO(other), digest)
