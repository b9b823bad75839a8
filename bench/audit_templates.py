"""Measure the audit on templates that others wrote: crashes, what is not resolved, grave findings.

    python -m bench.audit_templates FOLDER [--most N] [--choose N [--after N]] [--sarif SCHEMA]
                                           [--grave] [--sample N] [--json]

FOLDER has one folder for each repository (`bench/corpora.md`). Each template and manifest in it
that an importer recognises is audited by itself, with the code beside it, in a process of its own.
A crash is an exception that leaves the audit, a rule or importer that failed inside, a process that
died, and one that took more than a minute. Notes are counted by their form, with names left out.
With `--choose` the N templates with a function that come first by the SHA-256 of their path below
FOLDER are taken, so that nobody picks them; those in a folder of tests are passed over. `--after`
passes over so many first: what was mended after one choice is tested on the next. With `--sarif`
the report of each as SARIF is validated by the schema of OASIS in that file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import re
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jsonschema_rs

from casemate.audit.auditing import NothingToAuditError, audit
from casemate.audit.documents import DocumentError, read_documents
from casemate.audit.finding import Severity
from casemate.audit.importers.all import IMPORTERS
from casemate.audit.importers.port import Source
from casemate.audit.outputs.sarif import sarif_of
from casemate.audit.workspace import PASSED_OVER

_SECONDS = 60.0
_ENDINGS = ("yaml", "yml", "json", "template")
_PASSED_OVER = PASSED_OVER | {"vendor"}
_TESTS = frozenset(("test", "tests", "__tests__"))
_MAX_BYTES = 16 << 20
_MARKS = re.compile(r"Resources|functions|apiVersion|kind|runtime|planned_values|terraform_version")
"""Without one of these words no importer recognises a file: most JSON is passed over unread."""
_FAULT = re.compile(r"failed here|could not be compared here")
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\$\{[^}]*\}|\b\d+\b|\S*[/.:@]\S*\w|!\w+ \S+")
_FORK = multiprocessing.get_context("fork")


def _chance(folder: Path, path: Path) -> str:
    return hashlib.sha256(str(path.relative_to(folder)).encode("utf-8", "replace")).hexdigest()


def templates(folder: Path, most: int | None, chance: bool = False) -> Iterator[tuple[str, Path]]:
    """Yield the importer's name and the path of each template; of equal ones the first."""
    seen = set[str]()
    paths = sorted(folder.rglob("*"))
    if chance:
        paths = [path for path in paths if not _TESTS & set(path.relative_to(folder).parts)]
        paths.sort(key=lambda path: _chance(folder, path))
    for path in paths:
        if path.suffix[1:] not in _ENDINGS or _PASSED_OVER & set(path.parts):
            continue
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            continue
        text = path.read_text(errors="replace")
        if text in seen or _MARKS.search(text) is None:
            continue
        try:
            documents, _ = read_documents(text, path.name)
        except DocumentError:
            continue
        source = Source(path.name, tuple(documents))
        by = next((each.name for each in IMPORTERS if each.recognises(source)), None)
        if by is not None:
            seen.add(text)
            yield by, path
            if most is not None and len(seen) >= most:
                return


def _child(path: Path, schema: Path | None, out: Connection) -> None:
    began = time.process_time()
    found: dict[str, Any] = {"crash": "", "notes": [], "grave": [], "functions": 0, "invalid": ""}
    try:
        report = audit(path)
        found["functions"] = report.functions
        found["notes"] = [(str(each.place), each.what) for each in report.unresolved]
        found["grave"] = [
            (each.rule, str(each.place), each.severity.value, each.text)
            for each in report.at_least(Severity.HIGH)
        ]
        faults = [what for _, what in found["notes"] if _FAULT.search(what)]
        found["crash"] = "; ".join(faults)
        found["seconds"] = time.process_time() - began
        if schema is not None:
            found["invalid"] = _invalid(schema, json.loads(sarif_of(report)))
    except NothingToAuditError as error:
        found["notes"] = [(path.name, error.message)]
    except BaseException as error:
        found["crash"] = f"{type(error).__name__}: {error}"[:500]
    found.setdefault("seconds", time.process_time() - began)
    found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.send(found)


def _invalid(schema: Path, report: Any) -> str:
    valid = jsonschema_rs.validator_for(json.loads(schema.read_text()), validate_formats=True)
    told = [f"{list(each.instance_path)}: {each.message}" for each in valid.iter_errors(report)]
    return "; ".join(told[:5])[:500]


def audited(path: Path, schema: Path | None = None) -> dict[str, Any]:
    """Return what an audit in a process of its own says of a template."""
    receiving, sending = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_child, args=(path, schema, sending))
    child.start()
    sending.close()
    empty = {"notes": [], "grave": [], "functions": 0, "seconds": _SECONDS, "MiB": 0.0}
    empty["invalid"] = ""
    try:
        if not receiving.poll(_SECONDS):
            child.kill()
            return {**empty, "crash": f"it took more than {_SECONDS:.0f} s"}
        found: dict[str, Any] = receiving.recv()
        return found
    except EOFError:
        return {**empty, "crash": "the process died"}
    finally:
        child.join()
        receiving.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, help="stop after so many templates")
    parser.add_argument("--choose", type=int, help="take so many with a function, by chance")
    parser.add_argument("--after", type=int, default=0, help="pass over so many of them first")
    parser.add_argument("--sarif", type=Path, metavar="SCHEMA", help="validate SARIF by it")
    parser.add_argument("--grave", action="store_true", help="list findings of high and critical")
    parser.add_argument("--sample", type=int, default=1, help="places told of each form of note")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not chosen.folder.is_dir():
        sys.exit(f"{chosen.folder} is no folder")
    kinds, rows, forms = Counter[str](), [], defaultdict[str, list[str]](list)
    passed = 0
    for kind, path in templates(chosen.folder, chosen.most, chosen.choose is not None):
        name = str(path.relative_to(chosen.folder))
        found = {"template": name, "importer": kind, **audited(path, chosen.sarif)}
        if chosen.choose is not None and not found["functions"] and not found["crash"]:
            continue
        if passed < chosen.after:
            passed += 1
            continue
        kinds[kind] += 1
        rows.append(found)
        for place, what in found["notes"]:
            forms[_NAMES.sub("…", what)].append(f"{name} {place} {what}")
        if len(rows) == chosen.choose:
            break
    if chosen.json:
        print(json.dumps(rows))
        return
    crashes = [row for row in rows if row["crash"]]
    print(f"{len(rows)} templates: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    print(f"{sum(row['functions'] for row in rows)} functions, {len(crashes)} crashes")
    print(f"slowest {max((row['seconds'] for row in rows), default=0):.1f} s of processor time,")
    print(f"largest {max((row['MiB'] for row in rows), default=0):.0f} MiB")
    if chosen.sarif is not None:
        print(f"{sum(bool(row['invalid']) for row in rows)} reports are not valid as SARIF")
    for row in rows:
        if row["invalid"]:
            print(f"INVALID {row['template']}: {row['invalid']}")
    for row in crashes:
        print(f"CRASH {row['template']}: {row['crash']}")
    print(
        f"{sum(map(len, forms.values()))} notes in {sum(bool(r['notes']) for r in rows)} templates"
    )
    for form, places in sorted(forms.items(), key=lambda item: -len(item[1])):
        print(f"{len(places):6} {form}")
        for place in places[: chosen.sample]:
            print(f"         {place}")
    if chosen.grave:
        for row in rows:
            for rule, place, severity, text in row["grave"]:
                print(f"GRAVE {row['template']}\t{rule}\t{severity}\t{place}\t{text}")


if __name__ == "__main__":
    main()
