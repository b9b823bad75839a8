"""Rules about packages: whether what is installed is what was meant, and what is known of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Dependency, Place
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.asked_packages import dependencies
from casemate.audit.rules.examples import function, requirements
from casemate.audit.rules.misleading_packages import LEFT, TRAPS
from casemate.audit.rules.needless_packages import needless


def _each(wrong: Callable[[Dependency], str | None]) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for each in dependencies(subject):
            text = wrong(each)
            if text is not None:
                yield Hit(place=each.place, text=text, subject=f"{each.ecosystem} {each.name}")

    return check


def _unpinned(subject: Subject) -> Iterator[Hit]:
    by_file: dict[str, list[Dependency]] = {}
    for each in dependencies(subject):
        if (
            each.ecosystem == "pypi"
            and not each.version
            and not each.origin
            and not each.development
        ):
            by_file.setdefault(each.place.file, []).append(each)
    for file, found in by_file.items():
        names = ", ".join(each.name for each in found[:5])
        yield Hit(
            place=found[0].place,
            text=f"{len(found)} package(s) of {file} without a version: {names}",
            subject=file,
        )


def _unhashed(subject: Subject) -> Iterator[Hit]:
    by_file: dict[str, list[Dependency]] = {}
    for each in dependencies(subject):
        if each.ecosystem == "pypi" and not each.development:
            by_file.setdefault(each.place.file, []).append(each)
    for file, found in by_file.items():
        if not any(each.hashed for each in found):
            yield Hit(place=found[0].place, text=f"no package of {file} has a hash", subject=file)


def _unlocked(subject: Subject) -> Iterator[Hit]:
    seen = set()
    for each in dependencies(subject):
        if (
            each.ecosystem == "npm"
            and not each.hashed
            and not each.version
            and not each.development
            and each.place.file not in seen
        ):
            seen.add(each.place.file)
            yield Hit(
                place=each.place,
                text=f"{each.place.file} has version ranges and no lock beside it",
                subject=each.place.file,
            )


def _trap(d: Dependency) -> str | None:
    meant = TRAPS.get(d.ecosystem, {}).get(d.name)
    return (
        None
        if meant is None
        else f"{d.name} is known for malicious copies" + (f" of {meant}" if meant else "")
    )


def _left(d: Dependency) -> str | None:
    instead = LEFT.get(d.ecosystem, {}).get(d.name)
    return (
        None
        if instead is None or d.development
        else f"{d.name} is abandoned or dangerous" + (f": use {instead}" if instead else "")
    )


def _index(d: Dependency) -> str | None:
    return (
        f"{d.wanted[:100]}: a package of that name in any index is taken for yours"
        if d.ecosystem == "option" and d.name == "--extra-index-url"
        else None
    )


def _trusted(d: Dependency) -> str | None:
    if d.ecosystem == "option" and (
        d.name == "--trusted-host" or re.search(r"index-url[ =]http://", d.wanted)
    ):
        return f"{d.wanted[:100]}: nobody checks which server sends the packages"
    return None


def _plain(d: Dependency) -> str | None:
    return (
        f"{d.name[:60]} is fetched without encryption"
        if re.match(r"(?:git\+)?http:", d.origin)
        else None
    )


def _moving(d: Dependency) -> str | None:
    if (
        d.origin
        and not re.search(r"[@#][0-9a-f]{7,40}\b", d.origin)
        and re.match(r"git|github:|[\w-]+/[\w-]+$", d.origin)
    ):
        return f"{d.name[:60]} is whatever a branch or tag has at build time"
    return None


def _scripts(subject: Subject) -> Iterator[Hit]:
    folder = subject.application.place.file.rpartition("/")[0]
    for name in subject.workspace.under(folder or "."):
        if name.rpartition("/")[2] == "package.json":
            try:
                found = json.loads(subject.workspace.text(name) or "{}")
            except (ValueError, RecursionError):
                continue
            scripts = found.get("scripts") if isinstance(found, dict) else None
            scripts = scripts if isinstance(scripts, dict) else {}
            for key in ("preinstall", "install", "postinstall"):
                command = scripts.get(key)
                if isinstance(command, str) and re.search(
                    r"curl|wget|https?://|base64|eval|node -e", command
                ):
                    yield Hit(
                        place=Place(name),
                        text=f"{key} fetches or runs: {command[:80]}",
                        subject=f"{name} {key}",
                    )


def _advised(subject: Subject) -> Iterator[Hit]:
    """Ask the advisories that were imported. That there are none to be relied upon is told."""
    from casemate.advisories import Ecosystem, Package, default_place, judge, normalised

    where: dict[tuple[str, str], Dependency] = {}
    packages = []
    for each in dependencies(subject):
        kind = {"pypi": Ecosystem.PYPI, "npm": Ecosystem.NPM}.get(each.ecosystem)
        name = normalised(kind, each.name) if kind is not None and each.version else None
        if kind is not None and name is not None and (name, each.version) not in where:
            packages.append(Package(ecosystem=kind, name=name, version=each.version))
            where[name, each.version] = each
    if not packages:
        return
    judged = judge(packages, default_place(os.environ))
    for problem in judged.problems:
        subject.workspace.note(
            ".", f"known vulnerabilities of packages: {problem.text} Next: {judged.next_step}"
        )
    for found in judged.findings:
        each = where[found.package.name, found.package.version]
        level = {"critical": Severity.CRITICAL, "high": Severity.HIGH, "low": Severity.LOW}.get(
            str(found.severity), Severity.MEDIUM
        )
        fixed = f"; fixed in {', '.join(found.fixed)}" if found.fixed else ""
        yield Hit(
            place=each.place,
            text=f"{each.name} {each.version}: {' '.join(found.ids[:3])} {found.summary[:120]}{fixed}",
            subject=f"{each.name} {found.ids[0]}",
            severity=Severity.CRITICAL if found.malicious else level,
        )


def _package_json(text: str, lock: bool = False) -> dict[str, str]:
    files = {**function(), "src/package.json": text}
    return {**files, "src/package-lock.json": "{}"} if lock else files


_rule = entries(Risk.DEPENDENCIES, "SAS-09", cwe=1357, attack="T1195.001")


_IMPORTS = (
    "import requests\n\n\ndef handler(event, context):\n"
    "    return requests.get('https://a.example/status', timeout=5).json()\n"
)
_HASH = "--hash=sha256:" + "0" * 64
RULES = (
    _rule(
        "DEP-001",
        "Packages without versions",
        Severity.LOW,
        "The next deployment takes whatever was released last, by anybody who got the "
        "author's account.",
        "Pin each package with ==, and lock what they need: uv pip compile "
        "--generate-hashes. casemate build writes a lock that you commit.",
        _unpinned,
        requirements("requests>=2"),
        requirements("requests==2.32.3"),
    ),
    _rule(
        "DEP-002",
        "Packages without hashes",
        Severity.INFO,
        "A registry or mirror that was taken over can answer with something else.",
        "Lock with hashes: uv pip compile --generate-hashes. casemate build writes a lock "
        "that you commit.",
        _unhashed,
        requirements("requests==2.32.3"),
        requirements(f"requests==2.32.3 {_HASH}"),
        494,
    ),
    _rule(
        "DEP-003",
        "Version ranges without a lock",
        Severity.LOW,
        "The next deployment takes whatever was released last.",
        "Commit package-lock.json, and install with npm ci.",
        _unlocked,
        _package_json('{"dependencies": {"left-pad": "^1.0.0"}}'),
        _package_json('{"dependencies": {"left-pad": "^1.0.0"}}', lock=True),
    ),
    _rule(
        "DEP-004",
        "Name of a malicious package",
        Severity.CRITICAL,
        "Malware was spread under this name.",
        "Use the package that you meant, and replace all secrets that this one could read.",
        _each(_trap),
        requirements("python3-dateutil==2.9.1"),
        requirements("python-dateutil==2.9.0"),
        506,
        "T1195.001",
    ),
    _rule(
        "DEP-005",
        "Package that is abandoned or dangerous",
        Severity.LOW,
        "Its vulnerabilities are no longer fixed, or it does something that cannot be done safely.",
        "Use its successor.",
        _each(_left),
        requirements("pycrypto==2.6.1"),
        requirements("cryptography==44.0.0"),
        1104,
    ),
    _rule(
        "DEP-006",
        "Two registries for one name",
        Severity.MEDIUM,
        "pip takes the highest version from any of them: whoever registers your package's "
        "name on PyPI gets installed (dependency confusion).",
        "Use one index that has everything (--index-url), or uv with explicit indexes.",
        _each(_index),
        requirements("--extra-index-url https://pypi.example/simple\nmine==1.0"),
        requirements("--index-url https://pypi.example/simple\nmine==1.0"),
        427,
    ),
    _rule(
        "DEP-007",
        "Package registry without certificate checks",
        Severity.HIGH,
        "Anybody on the network path can send packages of their own.",
        "Use https, and pass the right certificate authority (--cert).",
        _each(_trusted),
        requirements("--trusted-host pypi.example\nmine==1.0"),
        requirements("--index-url https://pypi.example/simple\nmine==1.0"),
        295,
    ),
    _rule(
        "DEP-008",
        "Package fetched without encryption",
        Severity.HIGH,
        "Anybody on the network path can send something else.",
        "Use https, and a hash.",
        _each(_plain),
        requirements("mine @ http://a.example/mine-1.0.tar.gz"),
        requirements("mine @ https://a.example/mine-1.0.tar.gz"),
        494,
    ),
    _rule(
        "DEP-009",
        "Package from a branch",
        Severity.MEDIUM,
        "Whoever may push to the branch can change what you deploy.",
        "Name the commit: git+https://...@0123abc....",
        _each(_moving),
        requirements("mine @ git+https://a.example/mine@main"),
        requirements("mine @ git+https://a.example/mine@" + "0a" * 20),
    ),
    _rule(
        "DEP-010",
        "Package with a known vulnerability",
        Severity.MEDIUM,
        "How to exploit it is public.",
        "Update to a version that fixes it.",
        _advised,
        {},
        requirements("requests==2.32.3"),
        1395,
        "T1190",
    ),
    _rule(
        "DEP-011",
        "Install script that downloads",
        Severity.MEDIUM,
        "It runs at each build, with the rights of the build.",
        "Download in a separate step, with a checksum.",
        _scripts,
        _package_json('{"scripts": {"postinstall": "curl https://a.example/x | sh"}}'),
        _package_json('{"scripts": {"postinstall": "tsc"}}'),
        829,
    ),
    _rule(
        "DEP-012",
        "Package that nothing uses",
        Severity.LOW,
        "Its vulnerabilities are yours, its authors can run code in your function, and it makes "
        "each start slower, for nothing.",
        "Remove it. If something loads it that is not in these files, accept this at its line.",
        needless,
        {**function(code=_IMPORTS), "src/requirements.txt": "requests==2.32.3\nboto3==1.35.90\n"},
        {**function(code=_IMPORTS), "src/requirements.txt": "requests==2.32.3\n"},
        1104,
    ),
)
