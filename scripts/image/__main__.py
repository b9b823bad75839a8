"""Builds the container image of a node, as an OCI layout in a tar archive. No engine is needed.

    python -m scripts.image [--out FILE]
    python -m scripts.image --try FILE      run `casemate doctor` and a node of it here

The same commit, packages of the distribution and uv.lock give the same digest. Needs Debian's apt
and bubblewrap; `apt-get update` first.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from scripts.image.application import PREFIX, build_wheel, compile_all, inside, install
from scripts.image.contents import SBOM, sbom
from scripts.image.distribution import download, python_of, unpack
from scripts.image.errors import ImageError
from scripts.image.oci import image_config, make_layer, write_layout
from scripts.image.running import ROOT, run
from scripts.image.trial import try_image

_CACHE = ROOT / "build-cache/image"
_DEFAULT = ROOT / "dist/casemate-image.tar"


def revision() -> tuple[str, int]:
    """Return the commit that is built, and its time: an image has no other."""
    text = run(["git", "log", "-1", "--format=%H %ct"]).decode().split()
    changed = run(["git", "status", "--porcelain", "--", "src", "uv.lock", "pyproject.toml"])
    return text[0] + ("-modified" if changed else ""), int(text[1])


def build(out: Path) -> str:
    """Build an image; return the digest of its manifest. Raises ImageError."""
    commit, epoch = revision()
    packages = download(_CACHE / "packages")
    with tempfile.TemporaryDirectory(prefix="casemate-image-") as temporary:
        root = Path(temporary) / "root"
        unpack(packages, root)
        minor = python_of(packages)
        full = inside(root, f"/usr/bin/python{minor}", "-ISc", _VERSION).decode().strip()
        wheel = build_wheel(Path(temporary) / "wheel", epoch)
        install(root, wheel, minor, full)
        compile_all(root, minor)
        for folder in ("var/lib/casemate", "etc/casemate", Path(SBOM).parent):
            (root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "LICENSE", root / Path(SBOM).parent / "copyright")
        site = root / PREFIX / f"lib/python{minor}/site-packages"
        bill = sbom(packages, site, _distribution(root))
        (root / SBOM).write_bytes(bill)
        own = re.compile(rf"{PREFIX}/lib/python{minor}/site-packages/casemate(-|/|$)|{SBOM}$")
        layers = [
            make_layer(
                root,
                lambda name: not name.startswith(PREFIX) and not own.match(name),
                epoch,
                "the distribution's packages",
                folders=True,
            ),
            make_layer(
                root,
                lambda name: name.startswith(PREFIX) and not own.match(name),
                epoch,
                "Python packages of uv.lock",
            ),
            make_layer(root, lambda name: bool(own.match(name)), epoch, "Casemate"),
        ]
        version = wheel.name.split("-")[1]
        labels = {
            "org.opencontainers.image.title": "casemate",
            "org.opencontainers.image.description": "A node for functions, secure by default",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.revision": commit,
            "org.opencontainers.image.base.name": _distribution(root),
        }
        created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        config = image_config(layers, labels, created, version)
        out.parent.mkdir(parents=True, exist_ok=True)
        digest = write_layout(out, layers, config, version, epoch)
        out.with_suffix(".sbom.json").write_bytes(bill)
    return digest


_VERSION = "import platform; print(platform.python_version())"


def _distribution(root: Path) -> str:
    text = (root / "etc/os-release").read_text(encoding="utf-8")
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]+)"?$', text, re.MULTILINE))
    return f"{fields['ID']}-{fields.get('VERSION_ID', 'unknown')}"


def main(arguments: list[str]) -> int:
    """Build, or try, an image; return the exit code."""
    grammar = argparse.ArgumentParser(
        prog="python -m scripts.image", description=(__doc__ or "").partition("\n")[0]
    )
    grammar.add_argument("--out", type=Path, default=_DEFAULT, metavar="FILE")
    grammar.add_argument("--try", type=Path, dest="tried", metavar="FILE")
    given = grammar.parse_args(arguments)
    try:
        if given.tried is not None:
            try_image(given.tried)
            return 0
        digest = build(given.out)
    except (ImageError, OSError) as error:
        print(f"The image was not made: {error}", file=sys.stderr)
        return 1
    print(f"{given.out}  {given.out.stat().st_size >> 20} MiB\n{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
