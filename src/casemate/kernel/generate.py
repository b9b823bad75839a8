"""Writes the tables of system-call numbers from the kernel's headers.

Run as `python -m casemate.kernel.generate [FOLDER]` with the headers of the machines (Debian's
linux-libc-dev has those of all of them) below FOLDER, /usr/include if none is given. A newer
header only adds calls; a test compares the tables with the headers that are installed.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
"""Names as uname(2) has them, and of their ELF numbers in linux/elf-em.h."""
_ELF = re.compile(r"^#define (EM_\w+)\s+(\d+)\b", re.MULTILINE)
_NUMBER = re.compile(r"^#define __NR_(\w+)\s+(\d+)$", re.MULTILINE)
_AUDIT_64_BIT_LITTLE_ENDIAN = 0xC0000000
"""__AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE of linux/audit.h."""


def header(folder: Path, machine: str) -> Path:
    """Return where a machine's numbers are, on a distribution with headers of several."""
    return folder / f"{machine}-linux-gnu/asm/unistd_64.h"


def numbers(text: str) -> dict[str, int]:
    """Return the calls that a header names, by number."""
    found = {name: int(number) for name, number in _NUMBER.findall(text)}
    found.pop("syscalls", None)  # how many there are
    return dict(sorted(found.items(), key=lambda item: item[1]))


def audit_architecture(text: str, machine: str) -> int:
    """Return what a filter sees of calls by a machine's own numbers, from linux/elf-em.h."""
    known = dict(_ELF.findall(text))
    if MACHINES[machine] not in known:
        raise ValueError(f"linux/elf-em.h does not name {MACHINES[machine]}")
    return _AUDIT_64_BIT_LITTLE_ENDIAN | int(known[MACHINES[machine]])


def table(machine: str, calls: dict[str, int], architecture: int) -> str:
    """Return the text of a module."""
    words = " ".join(f"{name}={number}" for name, number in calls.items())
    lines = textwrap.fill(words, 100, break_long_words=False, break_on_hyphens=False)
    return (
        f'"""What Linux calls by which number on {machine}.\n\n'
        "Written by `python -m casemate.kernel.generate` from the kernel's headers.\n"
        '"""\n\n'
        f"AUDIT_ARCHITECTURE = 0x{architecture:08X}\n"
        f'CALLS = """\n{lines}\n"""\n'
    )


def main() -> None:
    """Write the table of every machine."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/include")
    elf = (folder / "linux/elf-em.h").read_text()
    for machine in MACHINES:
        calls = numbers(header(folder, machine).read_text())
        target = Path(__file__).with_name(f"numbers_{machine}.py")
        target.write_text(table(machine, calls, audit_architecture(elf, machine)))


if __name__ == "__main__":
    main()
