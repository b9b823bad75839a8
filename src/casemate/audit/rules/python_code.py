"""Rules about Python: what handlers tell of errors, what they log, what they switch off."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.finding import Severity
from casemate.audit.model import Function
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import hit
from casemate.audit.rules.examples import python

Look = Callable[[PythonFile], Iterator[tuple[ast.AST, str]]]
_LOGGERS = re.compile(
    r"^(?:print|logging\.\w+|(?:\w*log(?:ger)?|LOG(?:GER)?)\.(?:debug|info|warning|warn|error|exception|critical|log|msg))$|^(?:self|app|current_app)\.logg?er\.\w+$"
)
_EVENTS = frozenset(("event", "evt", "lambda_event"))
_SECRETIVE = re.compile(
    r"^(?:passw(?:or)?d|passwd|secret|api_?key|access_?token|auth_?token|private_?key|client_secret|credentials?|authorization)$",
    re.I,
)
_HTTP_CALLS = re.compile(
    r"^(?:requests|httpx)\.(?:get|post|put|patch|delete|head|options|request)$"
)


def _look(look: Look) -> Check:
    """Return a check of every file of Python; one finding for each line."""

    def check(subject: Subject) -> Iterator[Hit]:
        for file, function in python_files(subject.code, subject.application):
            seen = set[int]()
            for node, text in look(file):
                line = getattr(node, "lineno", 0)
                if line not in seen:
                    seen.add(line)
                    yield hit(function, text, file.place(node), _subject(file, node, function))

    return check


def _subject(file: PythonFile, node: ast.AST, function: Function) -> str:
    lines = file.text.split("\n", getattr(node, "lineno", 1))
    at = getattr(node, "lineno", 1) - 1
    return f"{file.file} {lines[at].strip()[:120] if at < len(lines) else ''}"


def _argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _is(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _caught(file: PythonFile) -> Iterator[tuple[ast.ExceptHandler, str]]:
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node, node.name


def _tells(value: ast.AST, name: str, aliases: frozenset[str]) -> bool:
    """Tell whether an expression has the text of an exception in it, and not one of its fields."""
    for each in ast.walk(value):
        if isinstance(each, ast.Call):
            called = getattr(each.func, "id", getattr(each.func, "attr", ""))
            if called in ("str", "repr", "format") and any(
                isinstance(a, ast.Name) and a.id in aliases for a in each.args
            ):
                return True
        if (
            isinstance(each, ast.FormattedValue)
            and isinstance(each.value, ast.Name)
            and each.value.id in aliases
        ):
            return True
        if (
            isinstance(each, ast.Attribute)
            and each.attr in ("args", "message")
            and isinstance(each.value, ast.Name)
            and each.value.id == name
        ):
            return True
    return isinstance(value, ast.Name) and value.id in aliases - {name}


def _returned_errors(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for handler, name in _caught(file):
        aliases = {name}
        for node in ast.walk(handler):
            if isinstance(node, ast.Assign) and _tells(node.value, name, frozenset(aliases)):
                aliases |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        for node in ast.walk(handler):
            if (
                isinstance(node, ast.Return)
                and node.value is not None
                and _tells(node.value, name, frozenset(aliases))
            ):
                yield node, "the text of an exception is in the answer"


def _returned_traces(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            for each in ast.walk(node.value):
                if isinstance(each, ast.Call) and file.name(each.func) in (
                    "traceback.format_exc",
                    "traceback.format_exception",
                    "sys.exc_info",
                ):
                    yield node, "the trace of an exception is in the answer"


def _whole(node: ast.AST) -> bool:
    """Tell whether an argument is a whole event, as it is or as JSON."""
    if isinstance(node, ast.Name):
        return node.id in _EVENTS
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return called in ("dumps", "str", "repr", "pformat", "format") and any(
            map(_whole, node.args)
        )
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(v, ast.FormattedValue) and _whole(v.value) for v in node.values)
    if isinstance(node, ast.BinOp):
        return _whole(node.right) or _whole(node.left)
    return isinstance(node, ast.Dict) and any(map(_whole, node.values))


def _handlers(file: PythonFile) -> set[int]:
    """Return the lines that are inside of functions that are given an event."""
    lines = set[int]()
    for node in file.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.args]
            if names and names[0] in _EVENTS:
                lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _logged_events(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    inside = _handlers(file) if any(word in file.text for word in _EVENTS) else set()
    for call, name in file.calls() if inside else ():
        if call.lineno in inside and _LOGGERS.match(name) and any(map(_whole, call.args)):
            yield call, "the whole event is logged"


def _logged_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if _LOGGERS.match(name):
            for argument in call.args:
                for each in ast.walk(argument):
                    if (
                        isinstance(each, ast.Attribute)
                        and file.name(each) == "os.environ"
                        and not _indexed(argument, each)
                    ):
                        yield (
                            call,
                            "the whole environment is logged, with the function's credentials",
                        )


def _indexed(argument: ast.AST, node: ast.AST) -> bool:
    return any(
        (isinstance(e, ast.Subscript) and e.value is node)
        or (isinstance(e, ast.Attribute) and e.value is node and e.attr == "get")
        for e in ast.walk(argument)
    )


def _returned_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            for each in ast.walk(node.value):
                if (
                    isinstance(each, ast.Attribute)
                    and file.name(each) == "os.environ"
                    and not _indexed(node.value, each)
                ):
                    yield (
                        node,
                        "the whole environment is in the answer, with the function's credentials",
                    )


def _logged_secrets(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if _LOGGERS.match(name):
            for argument in (*call.args, *(k.value for k in call.keywords)):
                for each in ast.walk(argument):
                    found = (
                        each.id
                        if isinstance(each, ast.Name)
                        else each.attr
                        if isinstance(each, ast.Attribute)
                        else ""
                    )
                    if found and _SECRETIVE.match(found) and not _measured(argument, each):
                        yield call, f"{found[:40]} is logged"


def _measured(argument: ast.AST, node: ast.AST) -> bool:
    return any(
        isinstance(e, ast.Call)
        and getattr(e.func, "id", "") in ("len", "bool", "type")
        and node in e.args
        for e in ast.walk(argument)
    )


def _debug(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name.endswith(".run") and _is(_argument(call, "debug"), True):
            yield call, "the framework's debugger is on"
        elif name in (
            "fastapi.FastAPI",
            "starlette.applications.Starlette",
            "chalice.Chalice",
        ) and _is(_argument(call, "debug"), True):
            yield call, "debugging is on: traces are in answers"
    for node in file.nodes:
        if isinstance(node, ast.Assign) and _is(node.value, True):
            for target in node.targets:
                if (
                    isinstance(target, ast.Attribute)
                    and target.attr == "debug"
                    and getattr(target.value, "id", "") in ("app", "application")
                ):
                    yield node, "debugging is on: traces are in answers"


def _unverified(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if _is(_argument(call, "verify"), False) and re.match(
            r"^(?:requests|httpx|boto3|aiohttp|botocore|elasticsearch|session|s|self)\b", name
        ):
            yield call, "the certificate is not checked"
        elif name in ("ssl._create_unverified_context",) or (
            name == "aiohttp.TCPConnector"
            and (_is(_argument(call, "ssl"), False) or _is(_argument(call, "verify_ssl"), False))
        ):
            yield call, "certificates are not checked"
        elif name.startswith("boto3.") and _is(_argument(call, "use_ssl"), False):
            yield call, "AWS is asked without encryption"
    for node in file.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            if file.name(node.value) in (
                "ssl.CERT_NONE",
                "ssl._create_unverified_context",
            ) and isinstance(node.targets[0], ast.Attribute):
                yield node, "certificates are not checked"


def _swallowed(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler) and all(
            isinstance(b, (ast.Pass, ast.Continue)) for b in node.body
        ) and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")):
            yield node, "every error is passed over without a word"


def _evaluated(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if (
            name in ("eval", "exec", "builtins.eval", "builtins.exec")
            and call.args
            and not isinstance(call.args[0], ast.Constant)
        ):
            yield call, f"{name} runs a text that is made while it runs"


def _shell(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        first = call.args[0] if call.args else None
        fixed = isinstance(first, ast.Constant) or first is None
        if (
            name in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
            and not fixed
        ):
            yield call, f"{name} runs a command line that is made while it runs"
        elif name.startswith("subprocess.") and _is(_argument(call, "shell"), True) and not fixed:
            yield call, "a shell runs a command line that is made while it runs"


def _unpickled(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name in (
            "pickle.loads",
            "cPickle.loads",
            "dill.loads",
            "jsonpickle.decode",
            "marshal.loads",
            "shelve.open",
            "pickle.Unpickler",
        ):
            yield call, f"{name} runs what the data tells it to"


def _yaml(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name in ("yaml.load", "yaml.load_all"):
            loader = _argument(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
            named = file.name(loader) if loader is not None else ""
            if loader is None or named.endswith(("UnsafeLoader", ".Loader")) or named == "Loader":
                yield call, "YAML makes objects of any class"
        elif name in ("yaml.unsafe_load", "yaml.unsafe_load_all"):
            yield call, "YAML makes objects of any class"


def _unsigned(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name in ("jwt.decode", "jose.jwt.decode", "jose.jwt.get_unverified_claims"):
            options = _argument(call, "options")
            off = _is(_argument(call, "verify"), False) or name.endswith("get_unverified_claims")
            if isinstance(options, ast.Dict):
                for key, value in zip(options.keys, options.values, strict=False):
                    off = off or (
                        isinstance(key, ast.Constant)
                        and key.value == "verify_signature"
                        and _is(value, False)
                    )
            algorithms = _argument(call, "algorithms")
            if algorithms is not None:
                off = off or any(
                    isinstance(e, ast.Constant) and str(e.value).lower() == "none"
                    for e in ast.walk(algorithms)
                )
            if off:
                yield call, "the signature of a token is not checked"


def _weak_hash(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name in ("hashlib.md5", "hashlib.sha1") and not _is(
            _argument(call, "usedforsecurity"), False
        ):
            names = {
                n.id.lower() for a in call.args for n in ast.walk(a) if isinstance(n, ast.Name)
            }
            if any("passw" in n or "secret" in n or "token" in n for n in names):
                yield call, f"{name} is no hash for passwords"


def _guessable(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.Assign):
            names = [t.id.lower() for t in node.targets if isinstance(t, ast.Name)]
            if any(
                re.search(r"token|secret|passw|session_?id|otp|nonce|api_?key|reset_?code|salt", n)
                for n in names
            ):
                for each in ast.walk(node.value):
                    if isinstance(each, ast.Call) and re.match(
                        r"^random\.(?:random|randint|choice|choices|randrange|sample|getrandbits)$",
                        file.name(each.func),
                    ):
                        yield node, f"{names[0]} is made of numbers that can be guessed"


def _temporary(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name == "tempfile.mktemp":
            yield call, "mktemp names a file that others may make first"


def _permissions(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if (
            name == "os.chmod"
            and len(call.args) > 1
            and isinstance(call.args[1], ast.Constant)
            and call.args[1].value in (0o777, 0o666)
        ):
            yield call, "everybody may change the file"


def _unpacked(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    if "tarfile" in file.text:
        for call, name in file.calls():
            if (
                name.endswith(".extractall")
                and _argument(call, "filter") is None
                and "zip" not in name.lower()
            ):
                yield call, "an archive writes wherever it says"


def _forever(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if (
            _HTTP_CALLS.match(name)
            and name.startswith("requests.")
            and _argument(call, "timeout") is None
            and not any(k.arg is None for k in call.keywords)
        ):
            yield call, "a server that never answers holds the function until its end"


def _host_keys(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if (
            name.endswith("set_missing_host_key_policy")
            and call.args
            and "AutoAddPolicy" in ast.dump(call.args[0])
        ):
            yield call, "every server is taken for the right one"


def _unescaped(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name == "jinja2.Environment" and (
            _argument(call, "autoescape") is None or _is(_argument(call, "autoescape"), False)
        ) and not any(k.arg is None for k in call.keywords):
            yield call, "what is put into pages is not escaped"


def _kept(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find globals that handlers give what is in an event."""
    for node in file.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.args]
            if not names or names[0] not in _EVENTS:
                continue
            shared = {n for g in ast.walk(node) if isinstance(g, ast.Global) for n in g.names}
            for each in ast.walk(node) if shared else ():
                if isinstance(each, ast.Assign) and any(
                    isinstance(t, ast.Name) and t.id in shared for t in each.targets
                ) and any(
                    isinstance(n, ast.Name) and n.id == names[0] for n in ast.walk(each.value)
                ):
                    yield each, "what is in an event is kept for the next caller"


def _secret_key(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, (str, bytes))
            and len(node.value.value) > 3
        ):
            for target in node.targets:
                named = getattr(target, "attr", "")
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    named = str(target.slice.value)
                if named.lower() in ("secret_key", "jwt_secret_key"):
                    yield node, "sessions are signed with a key that stands in the code"


def _open_answers(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.Dict):
            found = {
                str(k.value).lower(): v
                for k, v in zip(node.keys, node.values, strict=False)
                if isinstance(k, ast.Constant)
            }
            origin, credentials = (
                found.get("access-control-allow-origin"),
                found.get("access-control-allow-credentials"),
            )
            if (
                isinstance(origin, ast.Constant)
                and origin.value == "*"
                and isinstance(credentials, ast.Constant)
                and str(credentials.value).lower() == "true"
            ):
                yield (
                    node,
                    "pages of every site may read it with the cookies of whoever looks at them",
                )


def _entities(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        if name == "lxml.etree.XMLParser" and (
            _is(_argument(call, "resolve_entities"), True)
            or _is(_argument(call, "no_network"), False)
        ):
            yield call, "XML brings in files and addresses"


def _asserted(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for node in file.nodes:
        if isinstance(node, ast.Assert) and re.search(
            r"is_admin|authori[sz]ed|authenticated|permission|has_role|is_owner",
            ast.unparse(node.test)[:400],
        ):
            yield node, "a right is asked for by assert, which python -O leaves out"


def _rule(
    id: str,
    title: str,
    risk: Risk,
    owasp: str,
    cwe: int,
    severity: Severity,
    why: str,
    fix: str,
    look: Look,
    bad: str,
    good: str,
    attack: str = "",
    by_reach: bool = False,
) -> Rule:
    return Rule(
        id=id,
        title=title,
        risk=risk,
        owasp=owasp,
        cwe=cwe,
        attack=attack,
        severity=severity,
        by_reach=by_reach,
        why=why,
        fix=fix,
        check=_look(look),
        vulnerable=python(bad),
        fixed=python(good),
    )


def _handler(body: str, head: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    return (f"{head}\n\n" if head else "") + f"def handler(event, context):\n{lines}"


_E, _I, _M, _R, _D = Risk.ERRORS, Risk.INPUT, Risk.MONITORING, Risk.RESPONSIBILITY, Risk.PERMISSIONS
_L = Severity

RULES = (
    _rule(
        "PY-001",
        "Answer with the text of an exception",
        _E,
        "SAS-06",
        209,
        _L.LOW,
        "Texts of exceptions tell queries, paths, hosts and keys of tables to whoever makes an error.",
        "Answer with an id, and log the exception under that id.",
        _returned_errors,
        _handler(
            "try:\n    return work(event)\nexcept Exception as error:\n    return {'statusCode': 500, 'body': str(error)}"
        ),
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    log.exception('failed')\n    return {'statusCode': 500, 'body': 'error ' + context.aws_request_id}"
        ),
        by_reach=True,
    ),
    _rule(
        "PY-002",
        "Answer with a trace",
        _E,
        "SAS-06",
        209,
        _L.MEDIUM,
        "A trace tells the code, its paths and libraries, and often values.",
        "Answer with an id, and log the trace under that id.",
        _returned_traces,
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    return {'statusCode': 500, 'body': traceback.format_exc()}",
            "import traceback",
        ),
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    log.exception('failed')\n    return {'statusCode': 500, 'body': ''}"
        ),
        by_reach=True,
    ),
    _rule(
        "PY-003",
        "Whole events in logs",
        _M,
        "SAS-03",
        532,
        _L.LOW,
        "Events hold passwords, tokens in headers and data of people; everybody who reads logs has them.",
        "Log the fields that an investigation needs: the route, the id, the user.",
        _logged_events,
        _handler("print(event)\nreturn None"),
        _handler("print(event['requestContext']['requestId'])\nreturn None"),
        by_reach=True,
    ),
    _rule(
        "PY-004",
        "Environment in logs",
        _M,
        "SAS-03",
        532,
        _L.HIGH,
        "The credentials of the function's role are in its environment.",
        "Log the variables that are needed, by name.",
        _logged_environment,
        _handler("print(os.environ)\nreturn None", "import os"),
        _handler("print(os.environ['STAGE'])\nreturn None", "import os"),
        "T1552.005",
    ),
    _rule(
        "PY-005",
        "Answer with the environment",
        _E,
        "SAS-03",
        526,
        _L.CRITICAL,
        "The credentials of the function's role are in its environment: who reads them acts as the function.",
        "Answer with what is asked for.",
        _returned_environment,
        _handler("return {'body': str(dict(os.environ))}", "import os"),
        _handler("return {'body': os.environ.get('STAGE', '')}", "import os"),
        "T1552.005",
    ),
    _rule(
        "PY-006",
        "Secrets in logs",
        _M,
        "SAS-03",
        532,
        _L.MEDIUM,
        "Everybody who reads logs has them, for as long as logs are kept.",
        "Leave it out, or log that it was there.",
        _logged_secrets,
        _handler("password = event['password']\nprint('login', password)\nreturn None"),
        _handler("password = event['password']\nprint('login', len(password))\nreturn None"),
        "T1552.001",
    ),
    _rule(
        "PY-007",
        "Debugging is on",
        _E,
        "SAS-06",
        489,
        _L.MEDIUM,
        "Error pages show source and variables; Werkzeug's debugger runs code.",
        "Leave debug out; set it by a variable for the developers' stage.",
        _debug,
        "from flask import Flask\n\napp = Flask(__name__)\napp.run(debug=True)",
        "from flask import Flask\n\napp = Flask(__name__)\napp.run()",
    ),
    _rule(
        "PY-008",
        "Certificates are not checked",
        _R,
        "SAS-03",
        295,
        _L.HIGH,
        "Everybody on the way can be the server, read and change all.",
        "Remove it; give the client the right authority (verify='/opt/ca.pem').",
        _unverified,
        _handler(
            "return requests.get('https://a.example', verify=False, timeout=3).text",
            "import requests",
        ),
        _handler("return requests.get('https://a.example', timeout=3).text", "import requests"),
        "T1557",
    ),
    _rule(
        "PY-009",
        "Errors are passed over",
        _E,
        "SAS-10",
        390,
        _L.LOW,
        "An attack that fails at first is not seen, and half-done work is taken for done.",
        "Catch what can be handled, log the rest.",
        _swallowed,
        _handler("try:\n    work(event)\nexcept Exception:\n    pass"),
        _handler("try:\n    work(event)\nexcept KeyError:\n    log.info('no such key')"),
    ),
    _rule(
        "PY-010",
        "Text that is run as code",
        _I,
        "SAS-01",
        95,
        _L.MEDIUM,
        "Who has a say in the text runs code as the function.",
        "Parse what is expected: json.loads, ast.literal_eval, a table of functions.",
        _evaluated,
        _handler("return eval(event['expression'])"),
        _handler("return json.loads(event['expression'])", "import json"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-011",
        "Command line that is made while it runs",
        _I,
        "SAS-01",
        78,
        _L.MEDIUM,
        "Who has a say in it runs commands as the function.",
        "Pass a list to subprocess.run, without a shell.",
        _shell,
        _handler("os.system('convert ' + event['name'])", "import os"),
        _handler(
            "subprocess.run(['convert', '--', event['name']], check=True)", "import subprocess"
        ),
        "T1059.004",
        True,
    ),
    _rule(
        "PY-012",
        "Data that makes objects",
        _I,
        "SAS-08",
        502,
        _L.MEDIUM,
        "Pickle and its like call what the data names.",
        "Use JSON, or sign what only you write.",
        _unpickled,
        _handler("return pickle.loads(event['body'])", "import pickle"),
        _handler("return json.loads(event['body'])", "import json"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-013",
        "YAML that makes objects",
        _I,
        "SAS-08",
        502,
        _L.MEDIUM,
        "With that loader a document calls any function.",
        "Use yaml.safe_load.",
        _yaml,
        _handler("return yaml.load(event['body'])", "import yaml"),
        _handler("return yaml.safe_load(event['body'])", "import yaml"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-014",
        "Signatures of tokens are not checked",
        _D,
        "SAS-02",
        347,
        _L.HIGH,
        "Everybody writes a token that says what they like.",
        "Give the key and the algorithms, and leave the options out.",
        _unsigned,
        _handler(
            "return jwt.decode(event['token'], options={'verify_signature': False})", "import jwt"
        ),
        _handler("return jwt.decode(event['token'], KEY, algorithms=['RS256'])", "import jwt"),
        "T1550.001",
    ),
    _rule(
        "PY-015",
        "Weak hash of a password",
        _D,
        "SAS-03",
        328,
        _L.MEDIUM,
        "Billions of guesses a second are tried against MD5 and SHA-1.",
        "Use argon2-cffi or hashlib.scrypt.",
        _weak_hash,
        _handler(
            "password = event['password'].encode()\nreturn hashlib.md5(password).hexdigest()",
            "import hashlib",
        ),
        _handler(
            "password = event['password'].encode()\nreturn hashlib.scrypt(password, salt=SALT, n=2**15, r=8, p=1).hex()",
            "import hashlib",
        ),
        "T1110.002",
    ),
    _rule(
        "PY-016",
        "Tokens that can be guessed",
        _D,
        "SAS-02",
        338,
        _L.MEDIUM,
        "The numbers of `random` are told by 624 of them.",
        "Use the module secrets.",
        _guessable,
        _handler("token = random.randint(0, 999999)\nreturn token", "import random"),
        _handler("token = secrets.token_urlsafe()\nreturn token", "import secrets"),
    ),
    _rule(
        "PY-017",
        "Temporary file that others may make",
        _R,
        "SAS-06",
        377,
        _L.LOW,
        "Between its naming and its opening another process makes it, or a link.",
        "Use tempfile.NamedTemporaryFile or mkstemp.",
        _temporary,
        _handler("return tempfile.mktemp()", "import tempfile"),
        _handler("return tempfile.mkstemp()[1]", "import tempfile"),
    ),
    _rule(
        "PY-018",
        "File that everybody may change",
        _R,
        "SAS-05",
        732,
        _L.LOW,
        "What runs beside it, or next in the same process tree, changes it.",
        "Give rights to the owner alone: 0o600.",
        _permissions,
        _handler("os.chmod('/tmp/a', 0o777)", "import os"),
        _handler("os.chmod('/tmp/a', 0o600)", "import os"),
    ),
    _rule(
        "PY-019",
        "Archive that writes where it likes",
        _I,
        "SAS-01",
        22,
        _L.MEDIUM,
        "Members named ../../x and links lead out of the folder.",
        "Pass filter='data'.",
        _unpacked,
        _handler("tarfile.open('/tmp/a.tar').extractall('/tmp/out')", "import tarfile"),
        _handler(
            "tarfile.open('/tmp/a.tar').extractall('/tmp/out', filter='data')", "import tarfile"
        ),
    ),
    _rule(
        "PY-020",
        "Request without an end",
        _E,
        "SAS-06",
        400,
        _L.LOW,
        "A server that never answers holds the function until its time is out, and you pay.",
        "Pass timeout=.",
        _forever,
        _handler("return requests.get('https://a.example').text", "import requests"),
        _handler("return requests.get('https://a.example', timeout=3).text", "import requests"),
        "T1499.003",
    ),
    _rule(
        "PY-021",
        "Every server is the right one",
        _R,
        "SAS-03",
        295,
        _L.MEDIUM,
        "Everybody on the way can be the server, and gets the password.",
        "Load known host keys, and use RejectPolicy.",
        _host_keys,
        _handler("client.set_missing_host_key_policy(paramiko.AutoAddPolicy())", "import paramiko"),
        _handler("client.set_missing_host_key_policy(paramiko.RejectPolicy())", "import paramiko"),
        "T1557",
    ),
    _rule(
        "PY-022",
        "Pages that are not escaped",
        _I,
        "SAS-07",
        79,
        _L.MEDIUM,
        "What somebody entered runs as a script in the browsers of others.",
        "Pass autoescape=select_autoescape().",
        _unescaped,
        "import jinja2\n\npages = jinja2.Environment()",
        "import jinja2\n\npages = jinja2.Environment(autoescape=jinja2.select_autoescape())",
    ),
    _rule(
        "PY-023",
        "Data that stays for the next caller",
        _D,
        "SAS-03",
        488,
        _L.MEDIUM,
        "Processes are used again: a global holds what the caller before brought.",
        "Pass it on as an argument.",
        _kept,
        "user = None\n\n" + _handler("global user\nuser = event['user']\nreturn work()"),
        _handler("return work(event['user'])"),
    ),
    _rule(
        "PY-024",
        "Sessions signed with a known key",
        _D,
        "SAS-02",
        321,
        _L.HIGH,
        "Who reads the code makes sessions of any user.",
        "Read the key from a secret.",
        _secret_key,
        "from flask import Flask\n\napp = Flask(__name__)\napp.secret_key = 'super-secret'",
        "import os\nfrom flask import Flask\n\napp = Flask(__name__)\napp.secret_key = os.environ['SESSION_KEY']",
        "T1550.004",
    ),
    _rule(
        "PY-025",
        "Answers for the pages of every site",
        _R,
        "SAS-06",
        942,
        _L.MEDIUM,
        "A page of an attacker reads it as whoever looks at it.",
        "Name the origin, or leave credentials out.",
        _open_answers,
        _handler(
            "return {'headers': {'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true'}}"
        ),
        _handler(
            "return {'headers': {'Access-Control-Allow-Origin': 'https://shop.example', 'Access-Control-Allow-Credentials': 'true'}}"
        ),
    ),
    _rule(
        "PY-026",
        "XML that brings in files",
        _I,
        "SAS-04",
        611,
        _L.HIGH,
        "An entity names /proc/self/environ, or an address in your network.",
        "Leave resolve_entities out, or use defusedxml.",
        _entities,
        _handler(
            "return etree.fromstring(event['body'], etree.XMLParser(resolve_entities=True))",
            "from lxml import etree",
        ),
        _handler(
            "return etree.fromstring(event['body'], etree.XMLParser(resolve_entities=False))",
            "from lxml import etree",
        ),
        "T1005",
    ),
    _rule(
        "PY-027",
        "Right that is asserted",
        _D,
        "SAS-05",
        617,
        _L.LOW,
        "python -O and PYTHONOPTIMIZE leave assert out.",
        "Raise an error.",
        _asserted,
        _handler("assert user.is_admin\nreturn work(event)"),
        _handler("if not user.is_admin:\n    raise PermissionError\nreturn work(event)"),
    ),
)
