"""A function's environment: what may be written down, and what becomes a secret of the vault."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from casemate.audit.model import Application, Function, Variable
from casemate.audit.rules.secret_search import secrets_in
from casemate.importing.outcome import Notes
from casemate.importing.resources import Resources
from casemate.manifest.environment import MAX_BYTES, MAX_VARIABLES, check_environment
from casemate.manifest.locator import KeyLocator
from casemate.manifest.problem import ProblemCollector
from casemate.manifest.secret_like import looks_like_secret
from casemate.shown_text import unsafe_in

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRET|TOKEN|CREDENTIALS?|API_?KEY|APIKEY"
    r"|PRIVATE_KEY|ACCESS_KEY|SECRET_KEY|AUTH_KEY|ENCRYPTION_KEY|SIGNING_KEY)\Z|PASSWORD",
    re.IGNORECASE,
)
_PLAIN_VALUE = re.compile(r"(?:true|false|yes|no|on|off|none|null|[0-9]{1,6}|)", re.IGNORECASE)
_KEPT_ELSEWHERE = re.compile(r"\{\{resolve:(?:secretsmanager|ssm-secure|ssm)[:}]|\$\{ssm:")
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_/-]{1,255})(?:\.[A-Za-z0-9_.]{1,255})?\}")
_LEAST = 6
"""Characters of a secret that is looked for in what is copied; shorter ones are in every file."""
_WORD = re.compile(r"[A-Za-z]{1,12}")
"""A password that is a word, such as `postgres`, is in code that has nothing to do with it."""


@dataclass
class Environment:
    """What became of the variables of one function."""

    kept: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Names of secrets by the variables that held them."""
    values: set[str] = field(default_factory=set)
    """What must not be in any file. Told to nobody."""
    unknown: dict[str, Variable] = field(default_factory=dict)
    """Variables whose values only a deployment on the other platform knows."""


def hidden_parameters(application: Application) -> frozenset[str]:
    """Return the parameters of the template that nobody is to see."""
    found = application.settings.get("parameters") or ()
    return frozenset(each.name for each in found if each.hidden)


def hidden_values(application: Application) -> frozenset[str]:
    """Return the defaults of these parameters, which the template resolves to."""
    found = application.settings.get("parameters") or ()
    return frozenset(
        str(each.default)
        for each in found
        if each.hidden and each.default not in (None, "") and len(str(each.default)) >= _LEAST
    )


def environment_of(
    function: Function, application: Application, resources: Resources, notes: Notes
) -> Environment:
    """Sort the variables of a function."""
    made = Environment()
    hidden, hidden_texts = hidden_parameters(application), hidden_values(application)
    for variable in function.environment:
        name, value = variable.name, variable.value
        if _secret(name, value, hidden, hidden_texts):
            made.secrets[name] = resources.secret_of(name, value)
            told = len(value) >= _LEAST and _WORD.fullmatch(value) is None
            if told and "${" not in value and "{{" not in value:
                made.values.add(value)
            continue
        reference = _REFERENCE.fullmatch(value)
        known = resources.logical(reference[1]) if reference is not None else None
        known = known or resources.called(value)
        if known is not None:
            value = known.name
        if "${" in value or "{{resolve:" in value:
            made.unknown[name] = variable
            notes.leave(
                variable.place,
                f"{function.name}: the value of the variable {name} is not known before a "
                "deployment on the other platform",
                "write its value in casemate.toml, where a comment stands in its place",
                blocking=True,
            )
        elif _allowed(name, value, variable, function, notes):
            made.kept[name] = value
    return _bounded(made, function, notes)


def _secret(name: str, value: str, hidden: frozenset[str], hidden_texts: frozenset[str]) -> bool:
    if not value:
        return False
    if _KEPT_ELSEWHERE.search(value) or looks_like_secret(name, value) is not None:
        return True
    if any(reference[1] in hidden for reference in _REFERENCE.finditer(value)):
        return True
    if any(text in value for text in hidden_texts):
        return True
    if any(True for _ in secrets_in(f'{name} = "{value[:4096]}"')):
        return True
    references = "${" in value or value.startswith("arn:")
    return bool(_SECRET_NAME.search(name)) and not references and not _PLAIN_VALUE.fullmatch(value)


def _allowed(name: str, value: str, variable: Variable, function: Function, notes: Notes) -> bool:
    """Tell whether a manifest takes a variable; say why not."""
    problems = ProblemCollector("", KeyLocator(""))
    check_environment({name: value}, (), problems)
    wrong = ""
    if not _NAME.fullmatch(name):
        wrong = "such a name is not allowed here"
    elif (found := unsafe_in(value)) is not None:
        wrong = f"its value has {found[1]}, which is not seen, as its character {found[0] + 1}"
    elif len(problems):
        wrong = "its name belongs to the platform here, or its value is too long"
    if wrong:
        next = "give it another name in casemate.toml and in the code, or do without it"
        notes.leave(variable.place, f"{function.name}: the variable {name}: {wrong}", next)
    return not wrong


def _bounded(made: Environment, function: Function, notes: Notes) -> Environment:
    size = 0
    for number, (name, value) in enumerate(list(made.kept.items())):
        size += len(name) + len(value.encode("utf-8", "replace")) + 2
        if number >= MAX_VARIABLES or size > MAX_BYTES:
            del made.kept[name]
            notes.leave(
                function.place,
                f"{function.name}: the variable {name} is beyond the {MAX_VARIABLES} variables and "
                f"{MAX_BYTES} bytes that an environment has",
                "put long values into a file of the project",
            )
    return made
