"""Environments that hold this source under another version's name, made in a moment."""

from __future__ import annotations

import base64
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

from casemate.signing import SigningKey
from casemate.upgrade.release import sign_release

SOURCE = Path(__file__).parents[2] / "src/casemate"
BROKEN = "raise OSError('this version is broken')\n"


def make_environment(
    folder: Path, version: str, *, broken: str = "", added: Mapping[str, str] = {}
) -> Path:
    """Make an environment whose Casemate is this source, but for its version.

    `broken` is a module, such as `gateway/process.py`, that fails when it is imported; `added` are
    texts that others have at their end, by the names of the modules.
    """
    other = {name: (SOURCE / name).read_text() + text for name, text in added.items()}
    if broken:
        other[broken] = BROKEN
    site = folder / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(Path(sys._base_executable))
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys._base_executable).parent}\n")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    link_package(SOURCE, site / "casemate", other)
    (site / "casemate/__init__.py").write_text(f'__version__ = "{version}"\n')
    for path in (folder, folder / "bin", folder.parent):
        path.chmod(0o755)
    return folder


def link_package(source: Path, target: Path, other: Mapping[str, str]) -> None:
    """Link all of a package but the modules that have another text."""
    target.mkdir()
    for path in source.iterdir():
        if path.name == "__pycache__" or (path.name == "__init__.py" and source == SOURCE):
            continue
        inside = {
            name.removeprefix(f"{path.name}/"): text
            for name, text in other.items()
            if name.startswith(f"{path.name}/")
        }
        if inside:
            link_package(path, target / path.name, inside)
        elif path.name in other:
            (target / path.name).write_text(other[path.name])
        else:
            (target / path.name).symlink_to(path)


def make_release(
    folder: Path,
    version: str,
    *keys: SigningKey,
    since: str = "0.1.0",
    schemas: dict[str, int] | None = None,
) -> str:
    """Make a release of one wheel, signed; return the first key's public half as it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"casemate-{version}.dist-info"
    with zipfile.ZipFile(folder / f"casemate-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Name: casemate\nVersion: {version}\n")
    sign_release(
        folder, version=version, since=since, schemas=schemas or {"store": 1}, keys=list(keys)
    )
    return base64.b64encode(keys[0].public).decode()
