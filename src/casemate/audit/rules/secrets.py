"""Rules about secrets in code, templates, environments and files beside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Set
from functools import partial

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.finding import Severity
from casemate.audit.importers.code_files import SUFFIXES
from casemate.audit.model import Function, Place
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.common import hit, literal
from casemate.audit.rules.examples import function, python, resource
from casemate.audit.rules.secret_search import Secret, digest_of, random, secrets_in

_MAX_FILES = 4_000
_TEXTS = SUFFIXES | {
    *("yml", "yaml", "json", "toml", "ini", "cfg", "conf", "env", "sh", "properties"),
    *("tf", "tfvars", "txt", "xml", "pem", "key", "ppk"),
}
_KEYS = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_NAMED = (".env", "Dockerfile", ".npmrc", ".pypirc", ".git-credentials", *_KEYS)
_PASSWORD = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PWD)(?:$|_)|(?:^|_)PASS$", re.I)
_SECRETIVE = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?|SIGNING_KEY)(?:$|_)",
    re.I,
)
_NOT_SECRET = re.compile(
    r"ARN|NAME|PATH|PARAM|_ID$|URL|URI|PREFIX|TABLE|BUCKET|FILE|REGION|TTL|EXPIR|LENGTH|HEADER|TYPE|VERSION|ALIAS|ENDPOINT|HOST|ITERATION|ROUND|POLICY|RESET|_MIN|_MAX|ENABLE|SALT|FIELD|LABEL|INDEX|ISSUER|AUDIENCE|ALGO",
    re.I,
)


def may_hold(name: str) -> bool:
    """Tell whether secrets are looked for in a file of that name."""
    last = name.rpartition("/")[2]
    ending = last.rpartition(".")[2] if "." in last else last
    return ending.lower() in _TEXTS or last.startswith(_NAMED)


def _files(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield the texts of the application: what lies beside its manifest and in its code."""
    workspace = subject.workspace
    folder = subject.application.place.file.rpartition("/")[0]
    count = 0
    # Most functions have a folder's files in common, which are gone through once.
    code = dict.fromkeys(f.files for f in subject.application.functions)
    owned = dict.fromkeys(name for files in code for name in files)
    names = dict.fromkeys((*workspace.under(folder or "."), *owned))
    for name in names:
        if not may_hold(name):
            continue
        if workspace.single is not None and name != workspace.single and name not in owned:
            continue
        count += 1
        if count > _MAX_FILES:
            what = f"more than {_MAX_FILES} files: secrets are looked for in no others"
            workspace.note(folder or ".", what)
            return
        text = subject.code.text(name)
        if text is not None:
            yield name, text


_TESTS = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec|fixtures|examples?|mocks?|vendor)/|(?:^|/)test_"
    r"|\.(?:test|spec)\.|_test\.go$"
)


def is_test(name: str) -> bool:
    """Tell whether a file is a test, an example or of others, by its name."""
    return bool(_TESTS.search(name))


def found_in(subject: Subject, name: str, text: str) -> list[Secret]:
    """Return the secrets in the text of a file."""
    named = not is_test(name) and not name.endswith((".txt", ".xml", ".json"))
    what = "more looks like a secret than is looked at: the rest is not audited"
    return list(secrets_in(text, named=named, more=partial(subject.workspace.note, name, what)))


def secrets_of(subject: Subject, name: str, text: str) -> list[Secret]:
    """Return the secrets in a file of the workspace, looked for once."""
    return subject.code.once("secrets", name, partial(found_in, subject, name, text))


def _of_kind(accepts: Callable[[Secret, str], bool]) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for name, text in _files(subject):
            for found in secrets_of(subject, name, text):
                if accepts(found, name):
                    yield Hit(
                        place=Place(name, found.line, found.column),
                        text=f"{found.what} stands in {name}",
                        subject=f"{found.kind} {name}",
                        severity=_severity(found, name, text),
                        cause=found.digest,
                    )

    return check


_KEY_ID = re.compile(r"(?:AKIA|ASIA)[A-Z2-7]{16}")
_SECRET_KEY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")


def _severity(found: Secret, name: str, text: str) -> Severity | None:
    if is_test(name):
        return Severity.LOW
    if found.kind == "google-key" and _FIREBASE in text:
        return Severity.MEDIUM
    if found.kind not in ("aws-key", "url-password"):
        return None
    line = text.split("\n", found.line)[found.line - 1]
    if found.kind == "url-password":
        return Severity.MEDIUM if _OF_MACHINE.search(line, found.column - 1) else None
    alone = _KEY_ID.match(line, found.column - 1) and not _has_secret_key(text)
    return Severity.MEDIUM if alone else None


_OF_MACHINE = re.compile(
    r"@(?:localhost|127\.0\.0\.1|\[::1\]|host\.docker\.internal)(?=[:/?\"'\s]|$)"
)
"""Behind a password: it opens what listens on whatever machine the code runs on."""
_FIREBASE = ".firebaseapp.com"
"""What stands beside a key that Google has every page of a project show: rules guard the data."""


def _has_secret_key(text: str) -> bool:
    """Tell whether what an id of a key of AWS is nothing without is there as well."""
    return any(random(each[0]) for each in _SECRET_KEY.finditer(text))


def _id_alone(f: Function, value: str) -> bool:
    """Tell whether a function is given the id of a key of AWS, and not the key."""
    others = (literal(v.value) or "" for v in f.environment)
    return bool(_KEY_ID.fullmatch(value)) and not any(map(_has_secret_key, others))


def _certain(found: Secret, name: str) -> bool:
    return found.certain and found.kind not in ("private-key", "url-password")


def _key(found: Secret, name: str) -> bool:
    return found.kind == "private-key"


def _address(found: Secret, name: str) -> bool:
    return found.kind == "url-password"


def _looks(found: Secret, name: str) -> bool:
    return found.kind == "named"


def _environment(subject: Subject) -> Iterator[Hit]:
    parameters = subject.application.settings.get("parameters", ())
    defaults = {literal(each.default) or "" for each in parameters}
    for f in subject.application.functions:
        for v in f.environment:
            value = literal(v.value)
            name = _snake(v.name)
            if value is None or _NOT_SECRET.search(name) or _REFERENCE.match(value):
                continue
            if (_PASSWORD.search(name) and len(value) >= 4 and _literal_password(value)) or (
                _SECRETIVE.search(name) and len(value) >= 8 and random(value, least=2.8)
            ):
                milder = (
                    _to_fill(f, v.name, value, defaults) or _id_alone(f, value) or _shown(f, value)
                )
                milder = milder or (name.upper() in _OF_SESSIONS and _is_short_lived(f))
                yield Hit(
                    place=v.place,
                    text=f"{f.name}: the value of {v.name[:64]} stands in the template",
                    subject=f"{f.name} {v.name}",
                    function=f,
                    severity=Severity.MEDIUM if milder else None,
                    cause=digest_of(value),
                )


_OF_SESSIONS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
_SESSION = "ASIA"


def _is_short_lived(f: Function) -> bool:
    """Tell whether the keys of AWS that a function is given ended within days of being written.

    Those of a session last 36 hours at most; whoever finds them later opens nothing.
    """
    return any(
        _KEY_ID.fullmatch(v.value) and v.value.startswith(_SESSION) for v in f.environment
    ) and not any(_KEY_ID.fullmatch(v.value) and v.value.startswith("AKIA") for v in f.environment)


def _opens_nothing(f: Function, name: str, value: str) -> bool:
    """Tell whether a key of AWS in the environment is an id alone, or of a session that is over."""
    return _id_alone(f, value) or (name.upper() in _OF_SESSIONS and _is_short_lived(f))


_MADE_UP = re.compile(r"(?:your|my|some|enter)[-_]|[^\n]{0,40}\blocalhost\b", re.I)


def _to_fill(f: Function, name: str, value: str, defaults: Set[str]) -> bool:
    """Tell whether a value is to be filled in: `REDIS_PASSWORD: PASSWORD`, beside `localhost`.

    If it is not, it is a bad one.
    """
    others = (literal(v.value) or "" for v in f.environment)
    words = len(_words(value))
    written = value.isupper() or words > 1 or value in defaults
    return (written and says_its_name(name, value)) or any(_MADE_UP.match(o) for o in others)


_FILLING = frozenset(
    (
        *(
            "a",
            "an",
            "the",
            "my",
            "your",
            "our",
            "some",
            "change",
            "replace",
            "enter",
            "put",
            "set",
        ),
        *("me", "this", "it", "here", "with", "in", "example", "sample", "placeholder", "dummy"),
        *("value", "default", "password", "passwd", "pass", "secret", "token", "key", "api", "db"),
        *("database", "user", "name", "todo", "changeme", "app", "client", "test", "access"),
    )
)


def says_its_name(name: str, value: str) -> bool:
    """Tell whether a value is the words of a name, or those that ask for a value: `my-password`."""
    known = {*_words(name), *_FILLING}
    words = _words(value)
    has_digit = any(sign.isdigit() for sign in value)
    return bool(words) and not has_digit and all(word in known for word in words)


def _words(text: str) -> list[str]:
    return [each for each in re.split(r"[^a-z]", _snake(text).lower()) if each]


def _shown(f: Function, value: str) -> bool:
    """Tell whether a key is one of Google that the pages of a project show as well."""
    beside = ((literal(v.value) or "").endswith(_FIREBASE) for v in f.environment)
    return value.startswith("AIza") and any(beside)


_REFERENCE = re.compile(
    r"(?:sm|ssm|aws-?s?sm|secretsmanager|awssecrets?(?:manager)?|bref-\w{2,20}|vault|op|berglas|kms"
    r"|gcp-?sm|keyvault|akv|doppler|infisical)(?:://?|:/)[\w$]"
    r"|projects/[^/\s]{1,60}/secrets/|secretref:",
    re.I,
)
"""Where a secret is kept, for what starts the function and asks for it: `sm:/shop/password`."""


def _literal_password(value: str) -> bool:
    return _REFERENCE.match(value) is None and not re.search(
        r"\$[{(]|\{\{|^arn:|^/|^ssm:|^<|^\*+$", value
    )


def _known_in_environment(subject: Subject) -> Iterator[Hit]:
    for f in subject.application.functions:
        for v in f.environment:
            for found in secrets_in(v.value, named=False) if literal(v.value) else ():
                yield Hit(
                    place=v.place,
                    text=f"{f.name}: {found.what} is the value of {v.name[:64]}",
                    subject=f"{f.name} {v.name}",
                    function=f,
                    severity=Severity.MEDIUM if _opens_nothing(f, v.name, v.value) else None,
                    cause=found.digest,
                )


def _parameters(subject: Subject) -> Iterator[Hit]:
    for p in subject.application.settings.get("parameters", ()):
        value, name = literal(p.default) or "", _snake(p.name)
        told = _PASSWORD.search(name) or _SECRETIVE.search(name)
        meant = len(value) >= 4 and value.lower() not in _NO_VALUES and value[:1] != "/"
        if told and meant and p.type == "String" and not _NOT_SECRET.search(name):
            text = f"the parameter {p.name} has a default that everybody reads"
            yield Hit(place=p.place, text=text, subject=p.name)


_NO_VALUES = ("none", "null", "default", "false", "true")


def _shown_parameters(subject: Subject) -> Iterator[Hit]:
    for p in subject.application.settings.get("parameters", ()):
        name = _snake(p.name)
        told = _PASSWORD.search(name) or _SECRETIVE.search(name)
        if told and not p.hidden and p.type == "String" and not _NOT_SECRET.search(name):
            text = f"the parameter {p.name} is shown to whoever looks at the stack"
            yield Hit(place=p.place, text=text, subject=p.name)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _files_of_keys(subject: Subject) -> Iterator[Hit]:
    folder = subject.application.place.file.rpartition("/")[0]
    for name in subject.workspace.under(folder or "."):
        last = name.rpartition("/")[2]
        if last in (
            *_KEYS,
            "credentials.json",
            "service-account.json",
            ".git-credentials",
            ".htpasswd",
        ):
            yield Hit(place=Place(name), text=f"{last} lies beside the application", subject=name)
        elif last.endswith((".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk")):
            yield Hit(
                place=Place(name),
                text=f"{last} holds keys and lies beside the application",
                subject=name,
            )


_SIGNING = frozenset(("jwt.encode", "jwt.decode", "jose.jwt.encode", "jose.jwt.decode"))
_SHOWN_KEYS = ("-----BEGIN PUBLIC", "-----BEGIN RSA PUBLIC", "-----BEGIN CERT")


def _key_of(call: ast.Call) -> ast.expr | None:
    """Return the key that a token is signed with; None where no signature is looked at."""
    options = next((each.value for each in call.keywords if each.arg == "options"), None)
    if options is not None and "verify_signature" in ast.unparse(options):
        return None
    named = next((each.value for each in call.keywords if each.arg == "key"), None)
    return call.args[1] if len(call.args) > 1 else named


def _signs(text: str | None) -> bool:
    """Tell whether a key makes signatures; with a public one they are only looked at."""
    return text is not None and len(text) > 2 and not text.strip().startswith(_SHOWN_KEYS)


def _text_in(file: PythonFile, node: ast.expr) -> str | None:
    """Return a text, or the one that a name stands for which the file gives once."""
    if isinstance(node, ast.Constant):
        value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        return value if isinstance(value, str) else None
    if not isinstance(node, ast.Name):
        return None
    given = [
        each.value
        for each in file.nodes
        if isinstance(each, ast.Assign)
        and any(isinstance(one, ast.Name) and one.id == node.id for one in each.targets)
    ]
    one = given[0] if len(given) == 1 else None
    found = one.value if isinstance(one, ast.Constant) else None
    return found if isinstance(found, str) else None


def _signing(subject: Subject) -> Iterator[Hit]:
    for file, f in python_files(subject.code, subject.application):
        for node, name in file.calls():
            key = _key_of(node) if name in _SIGNING else None
            if key is not None and _signs(_text_in(file, key)):
                what = "tokens are signed with a key that stands in the code"
                yield hit(f, what, file.place(node), file.file)
            for keyword in node.keywords:
                if (
                    keyword.arg
                    in ("aws_secret_access_key", "secret_access_key", "password", "passwd")
                    and "." in name
                ):
                    value = getattr(keyword.value, "value", None)
                    if (
                        isinstance(value, str)
                        and len(value) >= 6
                        and not re.search(r"example|test|dummy|localstack|foobar|^<", value, re.I)
                    ):
                        yield hit(
                            f,
                            f"{keyword.arg} of {name[:60]} stands in the code",
                            file.place(node),
                            f"{file.file} {keyword.arg}",
                        )


_rule = entries(Risk.PERMISSIONS, "SAS-03", cwe=798, attack="T1552.001")


_OUT = "Change the secret now: it is in every clone and in the history. Keep the new one in Secrets Manager, Parameter Store or the platform's secrets."
_KEY_TEXT = (
    "-----BEGIN "
    + "PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\nOF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n-----END PRIVATE KEY-----\n"
)
_SLACK = "xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"

RULES = (
    _rule(
        "SEC-001",
        "Token of a service",
        Severity.HIGH,
        "Bots read public repositories within seconds, and everybody inside reads private ones.",
        _OUT,
        _of_kind(_certain),
        python(f"TOKEN = '{_SLACK}'\n\ndef handler(event, context):\n    return None"),
        python(
            "import os\n\nTOKEN = os.environ['TOKEN_NAME']\n\ndef handler(event, context):\n    return None"
        ),
    ),
    _rule(
        "SEC-002",
        "Private key",
        Severity.HIGH,
        "Who has it is whoever it stands for.",
        _OUT,
        _of_kind(_key),
        {**function(), "src/key.txt": _KEY_TEXT},
        function(),
        321,
        "T1552.004",
    ),
    _rule(
        "SEC-003",
        "Address with a password in it",
        Severity.HIGH,
        "It is in every clone, and in logs of whatever is given the address.",
        _OUT,
        _of_kind(_address),
        python(
            "URL = 'postgresql://shop:k9Tq2wLm8z@db.shop.internal/orders'\n\ndef handler(event, context):\n    return None"
        ),
        python(
            "import os\n\nURL = os.environ['DB_URL']\n\ndef handler(event, context):\n    return None"
        ),
    ),
    _rule(
        "SEC-004",
        "Value that looks like a secret",
        Severity.MEDIUM,
        "Its name says that it is one, and its characters are drawn by chance.",
        _OUT,
        _of_kind(_looks),
        python(
            "client_secret = 'kV9mQ2xT7pLw4ZrN8sYb'\n\ndef handler(event, context):\n    return None"
        ),
        python(
            "import os\n\nclient_secret = os.environ['CLIENT']\n\ndef handler(event, context):\n    return None"
        ),
    ),
    _rule(
        "SEC-005",
        "Secret in the environment",
        Severity.HIGH,
        "It is in the repository, and shown to everybody who may look at the function.",
        "Name a secret instead of its value: '{{resolve:secretsmanager:...}}', or read it at run time.",
        _environment,
        function("Environment: {Variables: {DB_PASSWORD: k9Tq2wLm8z}}"),
        function("Environment: {Variables: {DB_PASSWORD_ARN: !Ref Secret}}"),
        526,
    ),
    _rule(
        "SEC-006",
        "Token of a service in the environment",
        Severity.HIGH,
        "It is in the repository, and shown to everybody who may look at the function.",
        _OUT,
        _known_in_environment,
        function(f"Environment: {{Variables: {{SLACK: {_SLACK}}}}}"),
        function("Environment: {Variables: {SLACK: !Ref Secret}}"),
        526,
    ),
    _rule(
        "SEC-007",
        "Default of a secret parameter",
        Severity.MEDIUM,
        "Most deployments keep defaults; everybody who reads the repository has it.",
        "Leave the default out and set NoEcho: true; better, name a secret.",
        _parameters,
        {
            "template.yaml": "Parameters:\n  DbPassword: {Type: String, NoEcho: true, Default: k9Tq2wLm8z}\n"
            + resource("AWS::SNS::Topic")["template.yaml"]
        },
        {
            "template.yaml": "Parameters:\n  DbPassword: {Type: String, NoEcho: true}\n"
            + resource("AWS::SNS::Topic")["template.yaml"]
        },
    ),
    _rule(
        "SEC-008",
        "Secret parameter that is shown",
        Severity.LOW,
        "Without NoEcho everybody reads it who may look at the stack.",
        "Set NoEcho: true.",
        _shown_parameters,
        {
            "template.yaml": "Parameters:\n  DbPassword: {Type: String}\n"
            + resource("AWS::SNS::Topic")["template.yaml"]
        },
        {
            "template.yaml": "Parameters:\n  DbPassword: {Type: String, NoEcho: true}\n"
            + resource("AWS::SNS::Topic")["template.yaml"]
        },
        200,
    ),
    _rule(
        "SEC-009",
        "File of keys beside the code",
        Severity.MEDIUM,
        "It is packed with the code, and lies in every clone.",
        "Delete it from the repository and its history, and replace what is in it.",
        _files_of_keys,
        {**function(), "src/id_rsa": "x"},
        function(),
        538,
        "T1552.004",
    ),
    _rule(
        "SEC-010",
        "Key or password in a call",
        Severity.HIGH,
        "Who reads the code signs tokens or logs in.",
        _OUT,
        _signing,
        python(
            "import jwt\n\ndef handler(event, context):\n    return jwt.encode({'sub': 'me'}, 'hunter2-key', algorithm='HS256')"
        ),
        python(
            "import os\nimport jwt\n\ndef handler(event, context):\n    return jwt.encode({'sub': 'me'}, os.environ['KEY'], algorithm='HS256')"
        ),
        321,
    ),
)
