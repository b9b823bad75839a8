"""Rules about secrets in code, templates, environments and files beside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.finding import Severity
from casemate.audit.importers.code_files import SUFFIXES
from casemate.audit.model import Place
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules import given_secrets
from casemate.audit.rules.common import hit
from casemate.audit.rules.examples import function, python, resource
from casemate.audit.rules.owners import owner_of
from casemate.audit.rules.secret_search import (
    FIREBASE,
    KEY_ID,
    Secret,
    has_secret_key,
    secrets_in,
)

_MAX_FILES = 4_000
_TEXTS = SUFFIXES | {
    *("yml", "yaml", "json", "toml", "ini", "cfg", "conf", "env", "sh", "properties"),
    *("tf", "tfvars", "txt", "xml", "pem", "key", "ppk"),
}
_KEYS = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_NAMED = (".env", "Dockerfile", ".npmrc", ".pypirc", ".git-credentials", *_KEYS)


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
            what = f"more than {_MAX_FILES} files: no others are searched for secrets"
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
    what = "more values look like secrets than are checked: the rest is not audited"
    more = partial(subject.workspace.note, name, what)
    values = _HELM.search(name) is not None
    found = secrets_in(text, named=named, plain=_is_plain(name), values=values, more=more)
    return list(found)


_HELM = re.compile(r"(?:^|/)values[\w.-]{0,60}\.ya?ml$")
"""Values of a chart, which become Secrets and ConfigMaps."""


def _is_plain(name: str) -> bool:
    """Tell whether values stand in a file as they are, without quotes: `.env`, `prod.env`."""
    last = name.rpartition("/")[2]
    return last.endswith(".env") or last.startswith(".env")


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
                        text=f"{found.what} is in {name}",
                        subject=f"{found.kind} {name}",
                        severity=_severity(found, name, text),
                        cause=found.digest,
                    )

    return check


def _severity(found: Secret, name: str, text: str) -> Severity | None:
    if is_test(name):
        return Severity.LOW
    if found.kind == "google-key" and FIREBASE in text:
        return Severity.MEDIUM
    if found.kind not in ("aws-key", "url-password"):
        return None
    line = text.split("\n", found.line)[found.line - 1]
    if found.kind == "url-password":
        return Severity.MEDIUM if _OF_MACHINE.search(line, found.column - 1) else None
    alone = KEY_ID.match(line, found.column - 1) and not has_secret_key(text)
    return Severity.MEDIUM if alone else None


_OF_MACHINE = re.compile(
    r"@(?:localhost|127\.0\.0\.1|\[::1\]|host\.docker\.internal)(?=[:/?\"'\s]|$)"
)
"""Behind a password: it opens what listens on whatever machine the code runs on."""


def _certain(found: Secret, name: str) -> bool:
    return found.certain and found.kind not in ("private-key", "url-password")


def _key(found: Secret, name: str) -> bool:
    return found.kind == "private-key"


def _address(found: Secret, name: str) -> bool:
    return found.kind == "url-password"


def _looks(found: Secret, name: str) -> bool:
    return found.kind == "named"


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
            yield Hit(place=Place(name), text=f"{last} is beside the application", subject=name)
        elif last.endswith((".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk")):
            yield Hit(
                place=Place(name),
                text=f"{last} contains keys and is beside the application",
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
    one = file.constants.get(node.id)
    return _text_in(file, one) if isinstance(one, ast.Constant) else None


_KEYED = re.compile(
    r"(?:cryptography\.fernet\.Fernet|cryptography\.hazmat\.primitives\.ciphers\.aead\.\w{3,20}"
    r"|(?:Crypto|Cryptodome)\.Cipher\.\w{2,20}\.new|itsdangerous\.\w{0,30}(?:Serializer|Signer))"
)
"""What encrypts or signs with its first argument."""
_SHORTEST_KEY = 8


def _signing(subject: Subject) -> Iterator[Hit]:
    for file, most in python_files(subject.code, subject.application):
        for node, what, about in _signing_in(file):
            owner = owner_of(subject, file, node, most)
            yield hit(owner, what, file.place(node), f"{file.file}{about}")


def _signing_in(file: PythonFile) -> Iterator[tuple[ast.Call, str, str]]:
    """Yield the calls of a file that are given a key, what is wrong, and what it is about."""
    for node, name in file.calls():
        given = _text_in(file, node.args[0]) if node.args and _KEYED.fullmatch(name) else None
        if given is not None and len(given) >= _SHORTEST_KEY:
            yield node, "data is encrypted or signed with a key that is in the code", ""
        key = _key_of(node) if name in _SIGNING else None
        if key is not None and _signs(_text_in(file, key)):
            yield node, "tokens are signed with a key that is in the code", ""
        for keyword in node.keywords if "." in name else ():
            if keyword.arg in _KEYWORDS and _is_secret(getattr(keyword.value, "value", None)):
                yield node, f"{keyword.arg} of {name[:60]} is in the code", f" {keyword.arg}"


_KEYWORDS = ("aws_secret_access_key", "secret_access_key", "password", "passwd")
_NO_SECRET = re.compile(r"example|test|dummy|localstack|foobar|^<", re.IGNORECASE)


def _is_secret(value: object) -> bool:
    return isinstance(value, str) and len(value) >= 6 and _NO_SECRET.search(value) is None


_rule = entries(Risk.PERMISSIONS, "SAS-03", cwe=798, attack="T1552.001")


_OUT = (
    "Replace the secret now: it is in every clone and in the history. Keep the new one in "
    "Secrets Manager, Parameter Store or the platform's secrets."
)
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
        "Whoever has it can act as its owner.",
        _OUT,
        _of_kind(_key),
        {**function(), "src/key.txt": _KEY_TEXT},
        function(),
        321,
        "T1552.004",
    ),
    _rule(
        "SEC-003",
        "URL with a password in it",
        Severity.HIGH,
        "It is in every clone, and in the logs of everything that gets the URL.",
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
        "Its name says that it is a secret, and its characters are random.",
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
        "It is in the repository, and visible to everybody who may read the function's "
        "configuration.",
        "Refer to a secret instead of writing its value: '{{resolve:secretsmanager:...}}', "
        "or read it at run time. In casemate.toml: grant it (secrets), set it by "
        "`casemate secrets set`, and read it by context.secret().",
        given_secrets.environment,
        function("Environment: {Variables: {DB_PASSWORD: k9Tq2wLm8z}}"),
        function("Environment: {Variables: {DB_PASSWORD_ARN: !Ref Secret}}"),
        526,
    ),
    _rule(
        "SEC-006",
        "Token of a service in the environment",
        Severity.HIGH,
        "It is in the repository, and visible to everybody who may read the function's "
        "configuration.",
        _OUT,
        given_secrets.known_in_environment,
        function(f"Environment: {{Variables: {{SLACK: {_SLACK}}}}}"),
        function("Environment: {Variables: {SLACK: !Ref Secret}}"),
        526,
    ),
    _rule(
        "SEC-007",
        "Default of a secret parameter",
        Severity.MEDIUM,
        "Most deployments keep defaults, and everybody who reads the repository has them.",
        "Remove the default and set NoEcho: true. Better: refer to a secret.",
        given_secrets.parameters,
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
        "Secret parameter that is displayed",
        Severity.LOW,
        "Without NoEcho everybody who may read the stack can read it.",
        "Set NoEcho: true.",
        given_secrets.shown_parameters,
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
        "Key file beside the code",
        Severity.MEDIUM,
        "It is packed with the code, and is in every clone.",
        "Delete it from the repository and its history, and replace its keys.",
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
        "Whoever reads the code can sign tokens or log in.",
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
