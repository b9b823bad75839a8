"""The image: the same bytes from the same files, and no rights that nobody needs."""

from __future__ import annotations

import json
import os
import re
import tarfile
from pathlib import Path

import pytest
from scripts.image import distribution, trial
from scripts.image.application import PREFIX
from scripts.image.errors import ImageError
from scripts.image.oci import image_config, make_layer, write_layout

from casemate.model import processes

EPOCH = 1_700_000_000


def build(folder: Path, name: str = "image.tar") -> Path:
    """Make an image of a few files, whose rights and times are as bad as can be."""
    root = folder / f"{name}.root"
    for path in ("usr/bin", "var/lib/casemate", "tmp", f"{PREFIX}/lib"):
        (root / path).mkdir(parents=True)
    (root / "usr/bin/tool").write_text("x")
    (root / "usr/bin/tool").chmod(0o6777)
    (root / f"{PREFIX}/lib/module.py").write_text("y")
    (root / f"{PREFIX}/lib/module.py").chmod(0o666)
    (root / "bin").symlink_to("usr/bin")
    os.utime(root / "usr/bin/tool", (len(name), len(name)))
    layers = [
        make_layer(root, lambda n: not n.startswith(PREFIX), EPOCH, "base", folders=True),
        make_layer(root, lambda n: n.startswith(PREFIX), EPOCH, "own"),
    ]
    config = image_config(layers, {"a": "b"}, "2023-11-14T22:13:20Z", "0.1.0")
    write_layout(folder / name, layers, config, "0.1.0", EPOCH)
    return folder / name


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = build(tmp_path, "one.tar"), build(tmp_path, "another.tar")
    assert one.read_bytes() == other.read_bytes()


def test_what_is_unpacked_has_no_rights_that_it_does_not_need(tmp_path: Path) -> None:
    root = tmp_path / "unpacked"
    config = trial.unpack_image(build(tmp_path), root)
    assert (root / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755
    assert (root / f"{PREFIX}/lib/module.py").stat().st_mode & 0o7777 == 0o644
    assert (root / "var/lib/casemate").stat().st_mode & 0o7777 == 0o700
    assert (root / "tmp").is_dir()
    assert (root / "bin").readlink() == Path("usr/bin")
    assert (root / "usr/bin/tool").stat().st_mtime == EPOCH
    settings = config["config"]
    assert settings["User"] == f"{processes.GATEWAY_UID}:{processes.GATEWAY_UID}"
    assert [each.partition("=")[0] for each in settings["Env"]] == ["PATH", "LANG"]


def test_a_changed_layer_is_refused_by_its_digest(tmp_path: Path) -> None:
    image = build(tmp_path)
    with tarfile.open(image) as archive:
        names = archive.getnames()
        index = json.loads(trial._member(archive, "index.json"))
        manifest = json.loads(trial._blob(archive, index["manifests"][0]["digest"]))
        member = archive.getmember(
            "blobs/sha256/" + manifest["layers"][0]["digest"].removeprefix("sha256:")
        )
    assert {"oci-layout", "index.json"} <= set(names)
    content = bytearray(image.read_bytes())
    content[member.offset_data + 20] ^= 1
    image.write_bytes(content)
    with pytest.raises(ImageError, match="is not what its name says"):
        trial.unpack_image(image, tmp_path / "unpacked")


def test_its_accounts_are_those_of_the_processes() -> None:
    numbers = {name: number for name, number in vars(processes).items() if name.endswith("_UID")}
    named = {number: name for name, number in distribution.ACCOUNTS}
    assert set(numbers.values()) <= set(named)
    for name, number in numbers.items():
        kind = name.removesuffix("_UID").lower().replace("_", "-")
        expected = "casemate" if kind == "gateway" else f"casemate-{kind}"
        assert named[number] == expected


def test_no_shell_and_no_package_manager_is_wanted() -> None:
    assert distribution.LEFT_OUT.isdisjoint(distribution.WANTED)
    assert {"dpkg", "tar", "mawk", "debconf"} <= distribution.LEFT_OUT
    assert not any(re.search("sh$|apt|busybox|coreutils", one) for one in distribution.WANTED)
