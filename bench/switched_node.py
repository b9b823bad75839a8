"""A copy of the source in which what a call leaves behind can be taken away while it runs.

A byte of a file is read at each call; each of its bits takes away one part. No node of ours can be
told to be so.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
EVERYTHING, NOTHING, AGAIN = "everything", "nothing", "nothing, again"
_SWITCH = "switch.py"
_SWITCHING = """import mmap

with open(__file__ + ".state", "rb") as _file:
    _STATE = mmap.mmap(_file.fileno(), 1, prot=mmap.PROT_READ)


def either(part, there, taken_away):
    def chosen(*told, **how):
        return (taken_away if _STATE[0] >> part & 1 else there)(*told, **how)

    return chosen


def replace(owner, part, **by):
    for name, what in by.items():
        setattr(owner, name, either(part, vars(owner)[name], what))


def dropped(*_told, **_how):
    return True


async def durable(_self):
    return None
"""
PARTS: Mapping[str, Mapping[str, str]] = {
    "records and journal": {
        "recorder/client.py": "replace(RecorderClient, PART, note=dropped, record=dropped,"
        " expect=dropped, durable=durable)",
        "facts/stream.py": "replace(FactStream, PART, counted=dropped)",
        "recorder/records/client.py": "replace(RecordsClient, PART, record=dropped,"
        " expect=dropped, record_expected=dropped, write=dropped, deny=dropped, use=dropped)",
    },
    "redaction": {
        "seal/redaction.py": """async def _as_it_is(_self, finished):
    return finished


replace(Redactor, PART, redact=_as_it_is, record=Redactor._keep, write=Redactor._keep_lines,
        expect=lambda self, *told: self._records.expect(*told))""",
    },
    "firewall": {
        "seal/close.py": "inside = either(PART, inside, lambda finished: finished)",
    },
}
"""What is put at the end of modules of the copy, by the part that is taken away by it. The firewall
also looks at each answer in its sandbox, where no switch can be read."""


def checkout_of(source: Path, folder: Path) -> Path:
    """Have `folder` with this package in `src` run by this interpreter's environment."""
    # With what is compiled: a zygote that compiles its modules first has other pages to write.
    shutil.copytree(source, folder / "src/casemate")
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder / ".venv")
    packages = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    (folder / ".venv" / packages).mkdir(parents=True)
    names = f"{folder / 'src'}\n{Path(sys.prefix) / packages}\n"
    (folder / ".venv" / packages / "bench.pth").write_text(names)
    return folder


def switched(folder: Path) -> Path:
    """Make a checkout in `folder` that has a switch for each part; return the switch's state."""
    checkout_of(ROOT / "src/casemate", folder)
    package = folder / "src/casemate"
    (package / _SWITCH).write_text(_SWITCHING)
    for number, changes in enumerate(PARTS.values()):
        for module, change in changes.items():
            with (package / module).open("a") as file:
                file.write("\n\nfrom casemate.switch import dropped, durable, either, replace\n")
                file.write(f"{change.replace('PART', str(number))}\n")
    state = package / f"{_SWITCH}.state"
    state.write_bytes(bytes(1))
    return state


def state_of(kind: str) -> int:
    """Return the state of the switch by what is measured: a bit for each part that is not there."""
    every = (1 << len(PARTS)) - 1
    alone = {f"no {name}": 1 << number for number, name in enumerate(PARTS)}
    return {EVERYTHING: 0, NOTHING: every, AGAIN: every, **alone}[kind]
