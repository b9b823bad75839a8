"""Public payloads through the sink guard: `python -m bench.injection FOLDER [--json]`.

Every line of every text file of the folder (`bench/corpora.md` says how to get some) goes as the
event's data through two programs for each sink: one that splices it into what is interpreted, one
that binds, escapes or checks it. The first is to be stopped for payloads meant for its family, as
far as they change its structure; the second never. Exit codes: 0 measured, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CHILD = Path(__file__).with_name("injection_child.py")
_MAX_FILE = 4 << 20
_MAX_PAYLOAD = 4096
_SECONDS = 3600
_SUFFIXES = frozenset((".txt", ".fuzz", ".list", ".payloads", ""))

FAMILIES = {
    "sql": r"sql",
    "command": r"command|cmd|os-cmd|shell",
    "path": r"traversal|lfi|directory|file.?inclusion",
    "code": r"code|python|eval",
    "template": r"template|ssti",
    "ldap": r"ldap",
    "xpath": r"xpath|xml",
    "nosql": r"nosql|mongo",
    "ssrf": r"request.?forgery|ssrf",
}
"""By family: what names of files and folders with payloads meant for it look like."""


def payloads(folder: Path, most: int) -> Iterator[tuple[str, str]]:
    """Yield where a payload is from, below `folder`, and the payload; at most `most` of a file."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.suffix.lower() not in _SUFFIXES:
            continue
        if file.stat().st_size > _MAX_FILE or ".git" in file.relative_to(folder).parts:
            continue
        lines = dict.fromkeys(file.read_text(errors="replace").splitlines())
        chosen = [x for x in lines if 0 < len(x) <= _MAX_PAYLOAD and not x.startswith("#")]
        for line in chosen[:most]:
            yield str(file.relative_to(folder)), line


def measure(family: str, found: list[tuple[str, str]]) -> dict[str, int]:
    """Return how many payloads there were, and how many were stopped in either program."""
    meant = re.compile(FAMILIES[family], re.IGNORECASE)
    asked = [[bool(meant.search(where)), text] for where, text in found]
    done = subprocess.run(
        [sys.executable, str(_CHILD), family],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{family} could not be measured:\n{done.stderr}")
    figures: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(arguments: list[str]) -> int:
    """Measure and print."""
    grammar = argparse.ArgumentParser(prog="python -m bench.injection", description=__doc__)
    grammar.add_argument("folder", type=Path, help="folder with text files, one payload a line")
    grammar.add_argument("--most", type=int, default=2000, help="payloads of one file")
    grammar.add_argument("--only", choices=sorted(FAMILIES), help="one family")
    grammar.add_argument("--json", action="store_true", help="print JSON")
    chosen = grammar.parse_args(arguments)
    if not chosen.folder.is_dir():
        grammar.error(f"{chosen.folder} is no folder; see bench/corpora.md for what to put there")
    found = list(payloads(chosen.folder, chosen.most))
    if not found:
        grammar.error(f"{chosen.folder} holds no text file with payloads; see bench/corpora.md")
    families = [chosen.only] if chosen.only else list(FAMILIES)
    results = {family: measure(family, found) for family in families}
    if chosen.json:
        print(json.dumps(results, indent=2))
        return 0
    print(f"{'family':10} {'meant':>8} {'stopped':>8} {'of those':>8} {'all':>8} {'false':>6}")
    for family, f in results.items():
        share = f"{100 * f['stopped'] / f['changing']:.1f} %" if f["changing"] else "-"
        numbers = f"{f['meant']:8} {share:>8} {f['changing']:8} {f['all']:8} {f['false']:6}"
        print(f"{family:10} {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
