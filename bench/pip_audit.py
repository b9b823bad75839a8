"""Hold our findings against those of pip-audit, over the same advisories.

    python -m bench.pip_audit --program VENV/bin/pip-audit [--rounds N] [--seed N] [--json]

pip-audit (2.9 or later, which takes `--osv-url`) is installed beside: it is no dependency. It asks
a service on loopback that answers as OSV defines it, of the records of the tests: by their lists
of versions, and by ranges in the order of PEP 440. Each round pins one version of each package
that the records name, one of: listed, fixed in, or any that lies between.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from casemate.advisories import Ecosystem, Package, Place, judge
from casemate.advisories.importing import Wanted, import_advisories

ADVISORIES = Path(__file__).parents[1] / "tests/unit/advisories/pypa/pypa-advisories-2024-10-10.zip"
Records = dict[str, list[dict[str, Any]]]
Ids = set[str]


def records() -> Records:
    """Return the records by the normalised name of what they are about."""
    found: Records = defaultdict(list)
    with zipfile.ZipFile(ADVISORIES) as archive:
        for name in archive.namelist():
            record = json.loads(archive.read(name))
            for affected in record["affected"]:
                found[str(canonicalize_name(affected["package"]["name"]))].append(record)
    return found


def is_affected(affected: dict[str, Any], version: str) -> bool:
    """Tell whether a version is affected, by the algorithm of OSV's schema."""
    if version in affected.get("versions", ()):
        return True
    asked = Version(version)
    for each in affected.get("ranges", ()):
        if each["type"] != "ECOSYSTEM":
            continue
        inside = False
        events = [(kind, at) for event in each["events"] for kind, at in event.items()]
        for kind, at in sorted(events, key=lambda one: _place(one[1])):
            reached = at == "0" or Version(at) <= asked
            if kind == "introduced" and reached:
                inside = True
            elif (kind == "fixed" and reached) or (kind == "last_affected" and Version(at) < asked):
                inside = False
        if inside:
            return True
    return False


def _place(at: str) -> Version:
    return Version("0.dev0") if at == "0" else Version(at)


class _Service(BaseHTTPRequestHandler):
    known: Records

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = str(canonicalize_name(asked["package"]["name"]))
        found = [
            # As the service has names and times, which pip-audit takes as they are.
            {
                **{key: value for key, value in record.items() if key != "published"},
                "affected": [{**a, "package": asked["package"]} for a in record["affected"]],
            }
            for record in self.known.get(name, ())
            if any(is_affected(a, asked["version"]) for a in record["affected"])
        ]
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def pins(known: Records, pick: random.Random) -> dict[str, str]:
    """Return one version of each package."""
    chosen = {}
    for name, about in sorted(known.items()):
        listed = [v for record in about for a in record["affected"] for v in a.get("versions", ())]
        ends = [
            at
            for record in about
            for a in record["affected"]
            for each in a.get("ranges", ())
            for event in each["events"]
            for at in event.values()
            if at != "0"
        ]
        usual = [
            v
            for v in [*pick.sample(listed, min(4, len(listed))), *ends, *map(after, ends)]
            if _is_version(v)
        ]
        if usual:
            chosen[name] = pick.choice(usual)
    return chosen


def after(version: str) -> str:
    """Return a version that is just later."""
    return f"{version}.post1" if _is_version(version) and "post" not in version else version


def _is_version(text: str) -> bool:
    try:
        return "+" not in str(Version(text))
    except InvalidVersion:
        return False


def theirs(program: str, url: str, chosen: dict[str, str], folder: Path) -> dict[str, list[Ids]]:
    """Return what pip-audit finds: of each package, the ids of each hole."""
    file = folder / "requirements.txt"
    file.write_text("".join(f"{name}=={version}\n" for name, version in chosen.items()))
    done = subprocess.run(
        [program, "-r", str(file), "--no-deps", "--disable-pip", "-s", "osv", "--osv-url", url,
         "-f", "json", "--progress-spinner", "off", "--cache-dir", str(folder / "cache")],
        capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )  # fmt: skip
    if not done.stdout:
        raise SystemExit(done.stderr[-2000:])
    return {
        each["name"]: [{one["id"], *one["aliases"]} for one in each.get("vulns", ())]
        for each in json.loads(done.stdout)["dependencies"]
    }


def differences(
    chosen: dict[str, str], found: dict[str, list[Ids]], place: Place, known: Records
) -> list[str]:
    """Return where the two do not say the same, advisory by advisory."""
    told = judge(
        [Package(ecosystem=Ecosystem.PYPI, name=n, version=v) for n, v in chosen.items()],
        place, now=time.time(),
    )  # fmt: skip
    ours: dict[str, Ids] = defaultdict(set)
    for each in told.findings:
        ours[each.package.name] |= set(each.ids)
    lines = [f"{each.package} not judged: {each.reason}" for each in told.not_judged]
    for name, version in chosen.items():
        records_of = {record["id"] for record in known[name]}
        they = {id for hole in found.get(name, ()) for id in hole} & records_of
        we = ours[name] & records_of
        lines += [f"{name} {version} {id}: pip-audit alone" for id in sorted(they - we)]
        lines += [f"{name} {version} {id}: ours alone" for id in sorted(we - they)]
    return lines


def main() -> None:
    """Print how many agree, and each difference."""
    parser = argparse.ArgumentParser(prog="python -m bench.pip_audit", description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    pick, known = random.Random(given.seed), records()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Service", (_Service,), {"known": known}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    packages, affected, lines = 0, 0, list[str]()
    with tempfile.TemporaryDirectory() as temporary:
        place = Place(Path(temporary) / "advisories")
        wanted = Wanted(source=str(ADVISORIES), ecosystems=(Ecosystem.PYPI,), fewer=True)
        import_advisories(wanted, place)
        for number in range(given.rounds):
            chosen = pins(known, pick)
            folder = Path(temporary) / str(number)
            folder.mkdir()
            url = f"http://127.0.0.1:{server.server_port}/v1/query"
            found = theirs(given.program, url, chosen, folder)
            packages += len(found)
            affected += sum(bool(each) for each in found.values())
            lines += differences(chosen, found, place, known)
    server.shutdown()
    told = {"packages": packages, "with_holes": affected, "differences": lines}
    print(json.dumps(told, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
