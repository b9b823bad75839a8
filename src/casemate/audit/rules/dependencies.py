"""Rules about packages: whether what is installed is what was meant, and what is known of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Dependency, Place, Platform
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.examples import function, requirements

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,100})(?:\[[^\]\n]{0,200}\])?\s{0,4}(?P<wanted>[=<>!~][^;#\n]{0,200})?"
)
_PINNED = re.compile(r"===?\s{0,3}([^\s,*]{1,100})(?:\s.*)?")
_LOCK = re.compile(r"\.cp3[0-9]{1,2}-[a-z0-9_]{1,20}\.lock")
_MAX_FILES = 500
_MAX_LINES = 5_000
"""Of one file of requirements."""
_TRAPS = {
    "pypi": {
        "python3-dateutil": "python-dateutil",
        "jeilyfish": "jellyfish",
        "colourama": "colorama",
        "djanga": "django",
        "djago": "django",
        "urlib3": "urllib3",
        "urllib": "urllib3",
        "requets": "requests",
        "requsts": "requests",
        "request": "requests",
        "reqeusts": "requests",
        "python-sqlite": "sqlite3",
        "beautifulsoup": "beautifulsoup4",
        "bs4.": "beautifulsoup4",
        "boto4": "boto3",
        "botocor": "botocore",
        "crypt": "cryptography",
        "pycryptography": "cryptography",
        "openvc": "opencv-python",
        "smb": "pysmb",
        "tensorfow": "tensorflow",
        "numpi": "numpy",
        "panda": "pandas",
        "flask.": "flask",
        "py-jwt": "pyjwt",
        "jwt-python": "pyjwt",
        "acqusition": "acquisition",
        "setup-tools": "setuptools",
        "pip3": "pip",
        "telnet": "telnetlib3",
        "diango": "django",
        "libpeshnx": "",
        "libari": "",
    },
    "npm": {
        "crossenv": "cross-env",
        "cross-env.js": "cross-env",
        "d3.js": "d3",
        "fabric-js": "fabric",
        "ffmepg": "ffmpeg",
        "gruntcli": "grunt-cli",
        "http-proxy.js": "http-proxy",
        "jquery.js": "jquery",
        "mariadb.js": "mariadb",
        "mongose": "mongoose",
        "mssql.js": "mssql",
        "mysqljs": "mysql",
        "nodecaffe": "caffe",
        "nodefabric": "fabric",
        "nodeffmpeg": "ffmpeg",
        "nodemailer-js": "nodemailer",
        "nodemailer.js": "nodemailer",
        "nodemssql": "mssql",
        "node-opencv.js": "opencv",
        "opencv.js": "opencv",
        "openssl.js": "openssl",
        "proxy.js": "proxy",
        "shadowsock": "shadowsocks",
        "smb.js": "smb",
        "sqlite.js": "sqlite",
        "sqliter": "sqlite",
        "sqlserver": "mssql",
        "tkinter.js": "",
        "electorn": "electron",
        "loadyaml": "js-yaml",
        "flatmap-stream": "",
        "eslint-scope.js": "eslint-scope",
        "lodahs": "lodash",
        "expresss": "express",
        "axois": "axios",
    },
}
"""Names that were used for malicious copies, and what was meant."""
_LEFT = {
    "pypi": {
        "pycrypto": "cryptography or pycryptodome",
        "python-jose": "joserfc or PyJWT",
        "pyyaml-include": "",
        "sklearn": "scikit-learn",
        "nose": "pytest",
        "m2crypto": "cryptography",
        "simplejson-c": "",
        "oauth2": "authlib",
        "pysaml": "pysaml2",
    },
    "npm": {
        "request": "undici or fetch",
        "node-serialize": "JSON",
        "node-uuid": "uuid",
        "event-stream": "streams of Node.js",
        "crypto-js": "crypto of Node.js",
        "vm2": "isolated-vm",
        "querystring": "URLSearchParams",
        "jsonwebtoken-promisified": "jsonwebtoken",
        "aws-sdk": "@aws-sdk/client-*",
    },
}
"""Packages that nobody keeps any more, or that are dangerous by what they do."""


def dependencies(subject: Subject) -> tuple[Dependency, ...]:
    """Return what the application's files ask for: read once for all rules."""
    folder = subject.application.place.file.rpartition("/")[0] or "."
    return subject.code.once("dependencies", folder, lambda: tuple(_asked_for(subject, folder)))


def _asked_for(subject: Subject, folder: str) -> Iterator[Dependency]:
    count = 0
    for name in subject.workspace.under(folder):
        last = name.rpartition("/")[2]
        if re.fullmatch(r"requirements[\w.-]{0,40}\.txt", last):
            read = _requirements
        elif last == "package.json":
            read = _package
        else:
            continue
        count += 1
        if count > _MAX_FILES:
            what = f"more than {_MAX_FILES} files of dependencies: the rest is not audited"
            subject.workspace.note(folder, what)
            return
        yield from read(subject, name)


def _requirements(subject: Subject, name: str) -> Iterator[Dependency]:
    text = subject.workspace.text(name) or ""
    if text.count("\n") > _MAX_LINES:
        what = f"it has more than {_MAX_LINES} lines: the rest is not audited"
        subject.workspace.note(name, what, _MAX_LINES)
    development = bool(re.search(r"dev|test|lint", name.rpartition("/")[2]))
    locked = _locked(subject, name)
    for at, line in _joined(text):
        bare = line.split(" #")[0].strip()
        if not bare or bare.startswith("#"):
            continue
        place = Place(name, at)
        if bare.startswith("-"):
            yield Dependency(
                ecosystem="option", name=bare.split("=")[0].split()[0], wanted=bare, place=place
            )
            continue
        address = re.search(r"(?:^|@\s{0,3})((?:git\+|https?:|svn\+|file:)\S{1,500})", bare)
        match = _LINE.match(bare)
        if match is None:
            continue
        wanted = (match["wanted"] or "").strip()
        pinned = _PINNED.fullmatch(wanted)
        plain = re.sub(r"[-_.]+", "-", match["name"]).lower()
        yield Dependency(
            ecosystem="pypi",
            name=plain if not bare.startswith(("git+", "http")) else bare[:100],
            wanted=wanted,
            version=pinned[1] if pinned else locked.get(plain, ""),
            hashed="--hash" in bare or plain in locked,
            origin=address[1] if address else "",
            development=development,
            place=place,
        )


def _locked(subject: Subject, name: str) -> dict[str, str]:
    """Return the versions that a build's own locks beside a file of requirements have with hashes.

    Of several, for Python versions, the first counts; what is not in all of them is not locked.
    """
    if subject.application.platform is not Platform.CASEMATE:
        return {}
    folder = name.rpartition("/")[0] or "."
    locks = [
        {
            re.sub(r"[-_.]+", "-", match["name"]).lower(): pinned[1]
            for _, line in _joined(subject.workspace.text(file) or "")
            if "--hash=" in line
            and (match := _LINE.match(line.partition(" ")[0]))
            and (pinned := _PINNED.fullmatch(match["wanted"] or ""))
        }
        for file in subject.workspace.under(folder)
        if file.startswith(f"{name}.cp") and _LOCK.fullmatch(file[len(name) :])
    ]
    return {n: v for n, v in locks[0].items() if all(n in lock for lock in locks)} if locks else {}


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with those that go on in the next one joined, and where each begins."""
    begun, parts = 1, list[str]()
    for number, line in enumerate(text.split("\n")[:_MAX_LINES], 1):
        if not parts:
            begun = number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield begun, " ".join((*parts, line))
        parts = []


def _package(subject: Subject, name: str) -> Iterator[Dependency]:
    text = subject.workspace.text(name) or ""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        subject.workspace.note(name, "it is no JSON")
        return
    folder = name.rpartition("/")[0]
    lock = any(
        subject.workspace.has(f"{folder}/{n}".lstrip("/"))
        for n in ("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "npm-shrinkwrap.json")
    )
    lines = _lines_of(text)
    for key in ("dependencies", "optionalDependencies", "devDependencies"):
        wanted = found.get(key) if isinstance(found, dict) else None
        for package, version in wanted.items() if isinstance(wanted, dict) else ():
            if isinstance(version, str):
                remote = re.match(r"(?:git|https?|github:|[\w-]+/[\w-]+)", version)
                yield Dependency(
                    ecosystem="npm",
                    name=package,
                    wanted=version,
                    version=version if re.fullmatch(r"\d[\w.+-]*", version) else "",
                    hashed=lock,
                    origin=version if remote else "",
                    development=key == "devDependencies",
                    place=Place(name, lines.get(package, 1)),
                )


def _lines_of(text: str) -> dict[str, int]:
    """Return the line on which each text in quotation marks stands first."""
    before, *quoted = text.split('"')
    found: dict[str, int] = {}
    line = 1 + before.count("\n")
    for part in quoted[:-1]:
        found.setdefault(part, line)
        line += part.count("\n")
    return found


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
                text=f"{each.place.file} has ranges and no lock beside it",
                subject=each.place.file,
            )


def _trap(d: Dependency) -> str | None:
    meant = _TRAPS.get(d.ecosystem, {}).get(d.name)
    return (
        None
        if meant is None
        else f"{d.name} is known for malicious copies" + (f" of {meant}" if meant else "")
    )


def _left(d: Dependency) -> str | None:
    instead = _LEFT.get(d.ecosystem, {}).get(d.name)
    return (
        None
        if instead is None or d.development
        else f"{d.name} is given up or dangerous" + (f": use {instead}" if instead else "")
    )


def _index(d: Dependency) -> str | None:
    return (
        f"{d.wanted[:100]}: a package of that name anywhere is taken for yours"
        if d.ecosystem == "option" and d.name == "--extra-index-url"
        else None
    )


def _trusted(d: Dependency) -> str | None:
    if d.ecosystem == "option" and (
        d.name == "--trusted-host" or re.search(r"index-url[ =]http://", d.wanted)
    ):
        return f"{d.wanted[:100]}: packages come without a check of who sends them"
    return None


def _plain(d: Dependency) -> str | None:
    return (
        f"{d.name[:60]} comes from an address without encryption"
        if re.match(r"(?:git\+)?http:", d.origin)
        else None
    )


def _moving(d: Dependency) -> str | None:
    if (
        d.origin
        and not re.search(r"[@#][0-9a-f]{7,40}\b", d.origin)
        and re.match(r"git|github:|[\w-]+/[\w-]+$", d.origin)
    ):
        return f"{d.name[:60]} is whatever a branch or tag holds when it is built"
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
    """Ask the advisories that were imported, if there are any."""
    from casemate.advisories import (
        AdvisoriesError,
        Ecosystem,
        Package,
        default_place,
        judge,
        normalised,
    )

    place = default_place(os.environ)
    if not place.database.exists():
        return
    where: dict[tuple[str, str], Dependency] = {}
    packages = []
    for each in dependencies(subject):
        kind = {"pypi": Ecosystem.PYPI, "npm": Ecosystem.NPM}.get(each.ecosystem)
        name = normalised(kind, each.name) if kind is not None and each.version else None
        if kind is not None and name is not None:
            packages.append(Package(ecosystem=kind, name=name, version=each.version))
            where[name, each.version] = each
    try:
        judged = judge(packages, place) if packages else None
    except AdvisoriesError as error:
        subject.workspace.note(
            subject.application.place.file, f"packages were not looked up: {error.message}"
        )
        return
    for found in judged.findings if judged is not None else ():
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


_HASH = "--hash=sha256:" + "0" * 64
RULES = (
    _rule(
        "DEP-001",
        "Packages without versions",
        Severity.LOW,
        "The next deployment takes what was released last, by whoever has got the account of its author.",
        "Pin each with ==, and lock what they need: uv pip compile --generate-hashes. casemate build writes a lock, to commit.",
        _unpinned,
        requirements("requests>=2"),
        requirements("requests==2.32.3"),
    ),
    _rule(
        "DEP-002",
        "Packages without hashes",
        Severity.INFO,
        "A registry or mirror that is taken over answers with something else.",
        "Lock with hashes: uv pip compile --generate-hashes. casemate build writes a lock, to commit.",
        _unhashed,
        requirements("requests==2.32.3"),
        requirements(f"requests==2.32.3 {_HASH}"),
        494,
    ),
    _rule(
        "DEP-003",
        "Ranges without a lock",
        Severity.LOW,
        "The next deployment takes what was released last.",
        "Commit package-lock.json, and install by npm ci.",
        _unlocked,
        _package_json('{"dependencies": {"left-pad": "^1.0.0"}}'),
        _package_json('{"dependencies": {"left-pad": "^1.0.0"}}', lock=True),
    ),
    _rule(
        "DEP-004",
        "Name of a malicious package",
        Severity.CRITICAL,
        "It is a name by which malware was spread.",
        "Use the package that was meant, and change all secrets that it could read.",
        _each(_trap),
        requirements("python3-dateutil==2.9.1"),
        requirements("python-dateutil==2.9.0"),
        506,
        "T1195.001",
    ),
    _rule(
        "DEP-005",
        "Package that is given up or dangerous",
        Severity.LOW,
        "Holes in it are not mended any more, or it does what cannot be done safely.",
        "Use what took its place.",
        _each(_left),
        requirements("pycrypto==2.6.1"),
        requirements("cryptography==44.0.0"),
        1104,
    ),
    _rule(
        "DEP-006",
        "Two registries for one name",
        Severity.MEDIUM,
        "pip takes the highest version from any: who registers the name of your package at PyPI is installed (dependency confusion).",
        "Use one index that has both (--index-url), or uv with explicit indexes.",
        _each(_index),
        requirements("--extra-index-url https://pypi.example/simple\nmine==1.0"),
        requirements("--index-url https://pypi.example/simple\nmine==1.0"),
        427,
    ),
    _rule(
        "DEP-007",
        "Registry that is not checked",
        Severity.HIGH,
        "Everybody on the way sends packages of their own.",
        "Use https, and give the right authority (--cert).",
        _each(_trusted),
        requirements("--trusted-host pypi.example\nmine==1.0"),
        requirements("--index-url https://pypi.example/simple\nmine==1.0"),
        295,
    ),
    _rule(
        "DEP-008",
        "Package without encryption",
        Severity.HIGH,
        "Everybody on the way sends something else.",
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
        "Whoever may push to it changes what you deploy.",
        "Name the commit: git+https://...@0123abc....",
        _each(_moving),
        requirements("mine @ git+https://a.example/mine@main"),
        requirements("mine @ git+https://a.example/mine@" + "0a" * 20),
    ),
    _rule(
        "DEP-010",
        "Package with a known hole",
        Severity.MEDIUM,
        "How to use it is public.",
        "Update to a version in which it is mended.",
        _advised,
        {},
        requirements("requests==2.32.3"),
        1395,
        "T1190",
    ),
    _rule(
        "DEP-011",
        "Script of an installation that fetches",
        Severity.MEDIUM,
        "It runs at each build, with the rights of the build.",
        "Do it in a step of its own, with a check sum.",
        _scripts,
        _package_json('{"scripts": {"postinstall": "curl https://a.example/x | sh"}}'),
        _package_json('{"scripts": {"postinstall": "tsc"}}'),
        829,
    ),
)
