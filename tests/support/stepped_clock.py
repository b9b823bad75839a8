"""A node whose wall clock can be set: all its processes see one that is off by as much as is said.

By their interpreter's environment, as they take nothing from variables. Clocks that only go forward
are left alone: nobody sets those. What runs in sandboxes keeps the host's clock.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import sys
from pathlib import Path

_OFF = struct.Struct("=d")
_MODULE = """
import mmap, os, struct, time
_file = os.open({path!r}, os.O_RDONLY)
_off = mmap.mmap(_file, {size}, prot=mmap.PROT_READ)
os.close(_file)
_true = time.time
def _now():
    return _true() + struct.unpack_from("=d", _off)[0]
time.time = _now
time.time_ns = lambda: int(_now() * 1e9)
"""


class SteppedClock:
    """The clock of one node; `launcher` is for its `TestNode`."""

    def __init__(self, folder: Path) -> None:
        """Make the environment in `folder`, with the clock as it is."""
        folder.mkdir()
        said = folder / "off"
        said.write_bytes(bytes(_OFF.size))
        with said.open("r+b") as file:
            self._off = mmap.mmap(file.fileno(), _OFF.size)
        python = folder / "bin" / "python"
        python.parent.mkdir()
        python.symlink_to(Path(sys.executable).resolve())
        shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        packages = folder / "lib" / version / "site-packages"
        packages.mkdir(parents=True)
        (packages / "stepped.py").write_text(_MODULE.format(path=str(said), size=_OFF.size))
        ours = Path(__file__).parents[2] / "src"
        theirs = Path(sys.prefix) / "lib" / version / "site-packages"
        (packages / "stepped.pth").write_text(f"{ours}\n{theirs}\nimport stepped\n")
        self.launcher = (str(python), "-m", "casemate.cli.main")

    def set(self, seconds: float) -> None:
        """Have it be so far off from now on."""
        _OFF.pack_into(self._off, 0, seconds)
