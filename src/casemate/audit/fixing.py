"""What can be mended without asking: settings that only close something, each as a line to add.

The text is changed and not written anew, so that comments and order stay. What is shown as a diff
is what is written; a result that is no YAML any more is dropped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import msgspec

from casemate.audit.documents import DocumentError, read_documents
from casemate.audit.finding import Finding
from casemate.audit.workspace import Workspace

_RECOVERY = ("PointInTimeRecoverySpecification:", "  PointInTimeRecoveryEnabled: true")
_ADDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("FN-005", "AWS::Serverless::Function"): ("Tracing: Active",),
    ("FN-005", "AWS::Lambda::Function"): ("TracingConfig:", "  Mode: Active"),
    ("API-014", "AWS::Serverless::Api"): ("TracingEnabled: true",),
    ("API-014", "AWS::ApiGateway::Stage"): ("TracingEnabled: true",),
    ("DATA-005", "AWS::S3::Bucket"): ("VersioningConfiguration:", "  Status: Enabled"),
    ("DATA-020", "AWS::DynamoDB::Table"): _RECOVERY,
    ("DATA-020", "AWS::Serverless::SimpleTable"): _RECOVERY,
    ("DATA-043", "AWS::Kinesis::Stream"): (
        *("StreamEncryption:", "  EncryptionType: KMS", "  KeyId: alias/aws/kinesis"),
    ),
    ("DATA-060", "AWS::KMS::Key"): ("EnableKeyRotation: true",),
    ("DATA-076", "AWS::ECR::Repository"): ("ImageScanningConfiguration:", "  ScanOnPush: true"),
    ("SEC-008", ""): ("NoEcho: true",),
}
"""By rule and type, the lines of properties that are added to the resource.

A rule may tell of what has no resource of its own, such as the API that a function's events make:
there is nothing to add to. A key of SNS is not among them: with that of AWS, alarms and buckets
cannot publish any more.
"""
_REPLACED: dict[str, tuple[re.Pattern[str], str]] = {
    "DATA-001": (
        re.compile(r"^(\s*AccessControl:\s*)(?:PublicRead|PublicReadWrite)\s*$"),
        r"\1Private",
    ),
    "PY-013": (
        re.compile(
            r"\byaml\.(?:load|unsafe_load)\(([^(),\n]{1,200})(?:,\s*(?:Loader=)?yaml\.\w+)?\)"
        ),
        r"yaml.safe_load(\1)",
    ),
}
FIXABLE = frozenset((*(rule for rule, _ in _ADDED), *_REPLACED))
_TYPE = re.compile(r"\s{1,40}Type:\s{0,20}[\"']?([\w:]{1,80})[\"']?\s{0,40}(?:#.*)?")
_SEARCHED = 60
"""Lines after the place of a resource in which its properties begin."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A file, before and after."""

    file: str
    before: str
    after: str
    findings: tuple[str, ...]

    @property
    def diff(self) -> str:
        """Return the change as a unified diff."""
        return "".join(
            difflib.unified_diff(
                self.before.splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                f"a/{self.file}",
                f"b/{self.file}",
            )
        )


def left_alone(findings: Iterable[Finding], workspace: Workspace) -> list[str]:
    """Return the files that could be mended, but of which more would change than is shown."""
    files = {each.place.file for each in findings if each.rule in FIXABLE}
    return sorted(
        file
        for file in files
        if workspace.template(file) is not None and not workspace.is_exact(file)
    )


def changes_for(findings: Iterable[Finding], workspace: Workspace) -> list[Change]:
    """Return the changes that mend what can be mended safely."""
    by_file: dict[str, list[Finding]] = {}
    for each in findings:
        if each.rule in FIXABLE:
            by_file.setdefault(each.place.file, []).append(each)
    made = []
    for file, found in sorted(by_file.items()):
        before = workspace.template(file)
        if before is None or not workspace.is_exact(file):
            continue  # what would be written differs by more than is shown
        lines, done = before.split("\n"), list[str]()
        # From the end on, so that places above stay what they are.
        for each in sorted(found, key=lambda f: f.place, reverse=True):
            if _mend(lines, each):
                done.append(each.rule)
        after = "\n".join(lines)
        if done and after != before and _still_readable(before, after, file):
            made.append(Change(file=file, before=before, after=after, findings=tuple(sorted(done))))
    return made


def _still_readable(before: str, after: str, file: str) -> bool:
    if not file.endswith((".yml", ".yaml", ".template")):
        return True
    try:
        old, new = read_documents(before, file), read_documents(after, file)
    except DocumentError:
        return False
    return len(old[0]) == len(new[0]) and len(new[1]) == len(old[1])


def _mend(lines: list[str], finding: Finding) -> bool:
    at = finding.place.line - 1
    if not 0 <= at < len(lines):
        return False
    if finding.rule in _REPLACED:
        pattern, by = _REPLACED[finding.rule]
        for number in range(at, min(at + _SEARCHED, len(lines))):
            if (
                number > at
                and _indent(lines[number]) <= _indent(lines[at])
                and lines[number].strip()
            ):
                return False
            if pattern.search(lines[number]):
                lines[number] = pattern.sub(by, lines[number], count=1)
                return True
        return False
    kind = "" if finding.rule == "SEC-008" else _type(lines, at)
    added = _ADDED.get((finding.rule, kind))
    return added is not None and _add(lines, at, added, finding.rule)


def _type(lines: list[str], at: int) -> str:
    """Return the type of the resource at a line, or nothing."""
    own, inner = _indent(lines[at]), 0
    for line in lines[at + 1 : at + _SEARCHED]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _indent(line) <= own:
            return ""
        inner = inner or _indent(line)
        found = _TYPE.fullmatch(line) if _indent(line) == inner else None
        if found is not None:
            return found[1]
    return ""


def _add(lines: list[str], at: int, added: tuple[str, ...], rule: str) -> bool:
    """Put lines in front of the first property of the resource at a line of YAML in block style."""
    own = _indent(lines[at])
    header = "" if rule == "SEC-008" else "Properties:"
    for number in range(at + 1, min(at + _SEARCHED, len(lines))):
        line = lines[number]
        if line.strip() and _indent(line) <= own:
            return False
        if not header and line.strip() and not line.strip().startswith("#"):
            lines[number:number] = [" " * _indent(line) + each for each in added]
            return True
        if header and line.strip() == header:
            following = next(
                (
                    n
                    for n in range(number + 1, len(lines))
                    if lines[n].strip() and not lines[n].lstrip().startswith("#")
                ),
                None,
            )
            if following is None or _indent(lines[following]) <= _indent(line):
                return False
            key = added[0].partition(":")[0]
            within = " " * _indent(lines[following])
            end = following
            while end < len(lines) and (
                not lines[end].strip() or _indent(lines[end]) >= len(within)
            ):
                if lines[end].startswith(f"{within}{key}:"):
                    return False  # it is said, by something else than what is meant
                end += 1
            lines[following:following] = [within + each for each in added]
            return True
    return False


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
