"""The part of an image that is Casemate and its Python packages, by the hashes of uv.lock."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.running import UV, run

PREFIX = "opt/casemate"
_OF_INSTALLING = ("uv_cache.json", "direct_url.json", "INSTALLER", "REQUESTED")
_COMMAND = """\
#!/opt/casemate/bin/python
import sys

from casemate.cli.main import main

sys.exit(main())
"""


def build_wheel(folder: Path, epoch: int) -> Path:
    """Build Casemate's wheel of this checkout into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    run([UV, "build", "--quiet", "--wheel", "--out-dir", folder], {"SOURCE_DATE_EPOCH": str(epoch)})
    wheels = sorted(folder.glob("casemate-*.whl"))
    if len(wheels) != 1:
        raise ImageError(f"{len(wheels)} wheels were built, expected one.")
    return wheels[0]


def install(root: Path, wheel: Path, minor: str, full: str) -> None:
    """Install Casemate below PREFIX of a root, for the interpreter that the root has."""
    prefix = root / PREFIX
    packages = prefix / f"lib/python{minor}/site-packages"
    packages.mkdir(parents=True)
    requirements = root.parent / "requirements.txt"
    export = [UV, "export", "--quiet", "--frozen", "--offline", "--no-dev", "--extra", "cluster"]
    export += ["--no-emit-project", "--no-header", "--no-annotate"]
    requirements.write_bytes(run(export))
    to = [
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--target",
        str(packages),
        "--link-mode",
    ]
    to += ["copy", "--python-version", minor, "--python-platform", "x86_64-unknown-linux-gnu"]
    run([UV, "pip", "install", *to, "--require-hashes", "--requirement", str(requirements)])
    run([UV, "pip", "install", *to, str(wheel)])
    _make_environment(prefix, packages, full)


def _make_environment(prefix: Path, packages: Path, full: str) -> None:
    """Make what `python -m venv` would, and the one command; other packages' are left out."""
    programs = prefix / "bin"
    programs.mkdir()
    (packages / "bin/uv").rename(programs / "uv")
    shutil.rmtree(packages / "bin")
    minor = ".".join(full.split(".")[:2])
    (programs / "python").symlink_to(f"/usr/bin/python{minor}")
    (programs / "casemate").write_text(_COMMAND, encoding="ascii")
    (programs / "casemate").chmod(0o755)
    settings = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {full}\n"
    (prefix / "pyvenv.cfg").write_text(settings, encoding="ascii")
    for installed in packages.glob("*.dist-info"):
        _forget_installing(installed)
    (packages / ".lock").unlink(missing_ok=True)


def _forget_installing(installed: Path) -> None:
    """Remove what uv notes of when and from where it installed a package, also in its list."""
    lines = (installed / "RECORD").read_text(encoding="utf-8").splitlines(keepends=True)
    for name in _OF_INSTALLING:
        (installed / name).unlink(missing_ok=True)
        lines = [line for line in lines if not line.startswith(f"{installed.name}/{name},")]
    (installed / "RECORD").write_text("".join(lines), encoding="utf-8")


def inside(root: Path, *command: str) -> bytes:
    """Run a program of the root in it, without network and without anything of the host."""
    sandbox = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    sandbox += ["--bind", str(root), "/", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
    # What an import here would write is dated, and so of no use in a layer.
    sandbox += ["--setenv", "PYTHONDONTWRITEBYTECODE", "1", "--setenv", "PYTHONHASHSEED", "0"]
    sandbox += ["--setenv", "LANG", "C.UTF-8"]
    return run([*sandbox, *command])


def compile_all(root: Path, minor: str) -> None:
    """Compile every module by the root's own interpreter: a node may write nothing there."""
    python = f"/usr/bin/python{minor}"
    places = [f"/usr/lib/python{minor}", "/usr/lib/python3", f"/{PREFIX}/lib"]
    there = [place for place in places if (root / place[1:]).is_dir()]
    options = ["-I", "-S", "-m", "compileall", "-f", "-qq", "--invalidation-mode", "unchecked-hash"]
    inside(root, python, *options, *there)
