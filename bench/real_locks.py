"""Repair locks of real requirements of years ago, and keep what the resolver saw of the index.

    python -m bench.real_locks --out FILE [--only NAME,...]

Needs the package index that uv is configured for. Each set is locked as it would have been on its
day, and then repaired by uv and today's releases, with the dated advisories of the tests. The file
is what `tests/unit/repair/test_repair_real_locks.py` does again without a network: names, versions
and requirements of the releases that were looked into, and what came out.
"""

from __future__ import annotations

import argparse
import json
import os
import string
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, date, datetime, timedelta
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from casemate.advisories import Ecosystem, KnownHoles, Place
from casemate.advisories.importing import Wanted, import_advisories
from casemate.build import find_interpreters
from casemate.build.lock import lock_path, own_lock
from casemate.build.requirements import read_requirements
from casemate.build.resolving import Resolving
from casemate.build.uv_process import UvSession
from casemate.package_index import POLICY_FILE, Upstream, pins_of
from casemate.package_index.listing import told_by_name
from casemate.repair import KnownFindings, Update

ROOT = Path(__file__).parents[1]
ADVISORIES = ROOT / "tests/unit/advisories/pypa/pypa-advisories-2024-10-10.zip"
SETS: dict[str, tuple[str, str]] = {
    "requests-2022": ("2022-07-01", "requests==2.28.0"),
    "requests-2023": ("2023-05-20", "requests<2.31"),
    "flask-2023": ("2023-02-01", "flask==2.2.2"),
    "flask-1-2023": ("2023-02-01", "flask<2\nitsdangerous<2.1\njinja2<3"),
    "flask-wtf-2023": ("2023-02-15", "flask-wtf\nflask-login"),
    "flask-restful-2023": ("2023-03-01", "flask-restful"),
    "flask-caching-2024": ("2024-04-20", "flask-caching\ngunicorn<20"),
    "httpx-2021": ("2021-06-01", "httpx"),
    "httpx-2023": ("2023-02-01", "httpx\nstarlette<0.25"),
    "fastapi-2023": ("2023-01-15", "fastapi==0.89.0\nuvicorn"),
    "sphinx-2023": ("2023-02-01", "sphinx==4.5.0"),
    "mkdocs-2023": ("2023-02-01", "mkdocs==1.3.1"),
    "cookiecutter-2023": ("2023-02-01", "cookiecutter==1.7.3"),
    "twine-2020": ("2020-09-01", "twine==3.2.0"),
    "twine-2023": ("2023-03-01", "twine==3.8.0\nreadme-renderer<36\nbleach<4"),
    "httpie-2021": ("2021-03-01", "httpie"),
    "docker-2020": ("2020-12-01", "docker"),
    "docker-2023": ("2023-04-01", "docker"),
    "google-auth-2020": ("2020-05-01", "google-auth\nrequests"),
    "kubernetes-2023": ("2023-01-10", "kubernetes==24.2.0"),
    "oauthlib-2022": ("2022-07-01", "requests-oauthlib"),
    "pygithub-2023": ("2023-01-10", "pygithub==1.55"),
    "bandit-2023": ("2023-09-01", "bandit"),
    "djangorestframework-2024": ("2024-06-01", "djangorestframework"),
    "django-allauth-2023": ("2023-02-01", "django-allauth==0.50.0"),
    "django-debug-toolbar-2021": ("2021-06-01", "django-debug-toolbar"),
    "django-filter-2024": ("2024-07-20", "django-filter\ndjango-cors-headers"),
    "pyopenssl-2023": ("2023-02-15", "pyopenssl"),
    "msal-2023": ("2023-07-01", "msal"),
    "azure-identity-2023": ("2023-10-20", "azure-identity"),
    "rich-2023": ("2023-02-01", "rich==12.6.0"),
    "rich-13-2023": ("2023-02-20", "rich==13.3.1"),
    "alembic-2023": ("2023-02-01", "alembic==1.8.1\nmako<1.2.2"),
    "connexion-2023": ("2023-02-01", "connexion==2.14.1"),
    "responses-2022": ("2022-11-01", "responses\npytest"),
    "rtd-theme-2023": ("2023-02-01", "sphinx-rtd-theme==1.1.1"),
    "fabric-2023": ("2023-10-15", "fabric"),
    "python-jose-2019": ("2019-09-01", "python-jose"),
    "mechanize-2016": ("2018-07-01", "mechanize\nhtml5lib<0.99999999"),
    "selenium-2023": ("2023-08-01", "selenium"),
    "starlette-2024": ("2024-04-01", "fastapi==0.104.0"),
    "nbconvert-2023": ("2023-02-01", "nbconvert==6.5.0\nmistune<2.0.3"),
    "werkzeug-2023": ("2023-10-01", "flask-session\nflask-cors<5"),
    "moto-2023": ("2023-03-01", "aws-requests-auth\nbotocore==1.29.80"),
    "scrapy-2023": ("2023-07-01", "scrapy==2.9.0"),
}  # fmt: skip


class Seen:
    """The requirements of each wheel that came from the index."""

    def __init__(self) -> None:
        self.releases: dict[str, dict[str, list[str]]] = {}
        self.wheels = 0
        save = Upstream.save

        def noting(upstream: Upstream, url: str, path: Path, *, sha256: str | None) -> str | None:
            found = save(upstream, url, path, sha256=sha256)
            told = told_by_name(url.rpartition("/")[2])
            if found is not None and told is not None and url.endswith(".whl"):
                self.wheels += 1
                self.releases.setdefault(told[0], {})[told[1]] = requirements_of(path)
            return found

        Upstream.save = noting  # type: ignore[method-assign,assignment]


def requirements_of(wheel: Path) -> list[str]:
    """Return what a wheel needs, without what is only for extras."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        name = min(names, key=lambda one: one.count("/"))
        told = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
    return sorted(told.get_all("Requires-Dist") or [])


def locked_then(day: str, requirements: str, folder: Path, minor: str) -> dict[str, str]:
    """Return the versions that uv would have locked on a day."""
    (folder / "requirements.in").write_text(requirements + "\n")
    done = subprocess.run(
        [find_uv_bin(), "pip", "compile", "requirements.in", "--exclude-newer", day,
         "--python-version", minor, "--only-binary", ":all:", "--no-header", "--no-annotate",
         "--quiet"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[:300])
    return {pin.package: pin.version for pin in pins_of(done.stdout)}


def policy() -> str:
    """Accept names and marks: what is repaired is not what is looked at here."""
    end = date.today() + timedelta(days=30)
    rules = [
        f'[[exception]]\npackage = "{letter}*"\nallow = ["name", "payload", "yanked"]\n'
        f'reason = "a measurement"\nexpires = {end}\n'
        for letter in string.ascii_lowercase
    ]
    return "".join(rules)


def repaired(name: str, folder: Path, place: Place, interpreter: Any) -> dict[str, Any]:
    """Lock one set as it was, and return what its repair is."""
    day, requirements = SETS[name]
    root = folder / name
    root.mkdir()
    versions = locked_then(day, requirements, root, interpreter.minor)
    (root / "requirements.txt").write_text(requirements + "\n")
    (root / POLICY_FILE).write_text(policy())
    given = read_requirements(root, "requirements.txt")
    cache = folder / "cache"
    work = root / "work"
    work.mkdir()
    with KnownHoles(place) as known, KnownFindings(place) as holes:
        session = UvSession(
            interpreter=interpreter, work=work, cache=cache / "uv", environ=dict(os.environ),
            known=known,
        )  # fmt: skip
        with Resolving(given, root, session, before="") as resolving:
            text = resolving.locked([f"{n}=={v}" for n, v in sorted(versions.items())])
        lock_path(root, "requirements.txt", interpreter.minor).write_text(own_lock(given, text))
        began = time.perf_counter()
        plan = (
            Update(
                root=root, interpreter=interpreter, cache=cache, environ=dict(os.environ),
                known=known, holes=holes, tell=lambda _: None,
            ).of("requirements.txt", newest=False).plan
        )  # fmt: skip
        found = {f"{n} {v}": [one.id for one in holes.of(n, v)] for n, v in versions.items()}
    return {
        "day": day,
        "requirements": requirements.split("\n"),
        "lock": versions,
        "holes": {key: ids for key, ids in found.items() if ids},
        "changes": {one.package: [one.old, one.new] for one in plan.changes},
        "loosened": list(plan.loosened),
        "uncleared": [f"{one.package} {one.id}: {one.reason[:160]}" for one in plan.uncleared],
        "smallest": plan.smallest,
        "asked": plan.asked,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """Write the file, and print a line for each set."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_locks", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    interpreter = find_interpreters(today=date.today(), environ=dict(os.environ))[0]
    names = given.only.split(",") if given.only else list(SETS)
    seen, sets = Seen(), {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        place = Place(folder / "advisories")
        wanted = Wanted(source=str(ADVISORIES), ecosystems=(Ecosystem.PYPI,), fewer=True)
        import_advisories(wanted, place)
        for name in names:
            try:
                sets[name] = repaired(name, folder, place, interpreter)
            except Exception as error:
                print(name, "-", type(error).__name__, str(error)[:300], file=sys.stderr)
                continue
            told = {k: v for k, v in sets[name].items() if k not in ("lock", "requirements")}
            print(name, json.dumps(told), flush=True)
            made = datetime.now(UTC).strftime("%Y-%m-%d")
            whole = {"made": made, "python": interpreter.minor, "sets": sets}
            given.out.write_text(
                json.dumps({**whole, "releases": seen.releases}, sort_keys=True, indent=1)
            )
    print(f"{len(sets)} sets, {seen.wheels} wheels looked into", file=sys.stderr)


if __name__ == "__main__":
    main()
