"""What rules about Python look for in a tree: each yields nodes and what is wrong with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Set

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.rule import Check, Hit, Subject
from casemate.audit.rules import plain_passwords
from casemate.audit.rules.common import hit
from casemate.audit.syntax import walk

Look = Callable[[PythonFile], Iterator[tuple[ast.AST, str]]]
_LOGGERS = re.compile(
    r"^(?:print|logging\.\w+|(?:\w*log(?:ger)?|LOG(?:GER)?)\.(?:debug|info|warning|warn|error|exception|critical|log|msg))$|^(?:self|app|current_app)\.logg?er\.\w+$"
)
EVENTS = frozenset(("event", "evt", "lambda_event"))
SECRETIVE = re.compile(
    r"^(?:passw(?:or)?d|passwd|secret|api_?key|access_?token|auth_?token|private_?key|client_secret|credentials?|authorization)$",
    re.I,
)
_HTTP_CALLS = re.compile(
    r"^(?:requests|httpx)\.(?:get|post|put|patch|delete|head|options|request)$"
)


def look_at(look: Look) -> Check:
    """Return a check of every file of Python; one finding for each line."""

    def check(subject: Subject) -> Iterator[Hit]:
        for file, function in python_files(subject.code, subject.application):
            seen = set[int]()
            try:
                for node, text in look(file):
                    line = getattr(node, "lineno", 0)
                    if line not in seen:
                        seen.add(line)
                        yield hit(function, text, file.place(node), _subject(file, node))
            except RecursionError:  # of this file: the others are looked at
                what = "an expression is nested too deeply: not looked at for every rule"
                subject.workspace.note(file.file, what)

    return check


def _subject(file: PythonFile, node: ast.AST) -> str:
    at = getattr(node, "lineno", 1) - 1
    return f"{file.file} {file.lines[at].strip()[:120] if at < len(file.lines) else ''}"


def _argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def _is(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _caught(file: PythonFile) -> Iterator[tuple[ast.ExceptHandler, str]]:
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node, node.name


def _tells(value: ast.AST, name: str, aliases: set[str]) -> bool:
    """Tell whether an expression has the text of an exception in it, and not one of its fields."""
    for each in walk(value):
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
    return isinstance(value, ast.Name) and value.id != name and value.id in aliases


def returned_errors(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: returned errors."""
    for handler, name in _caught(file):
        aliases = {name}
        for node in walk(handler):
            if isinstance(node, ast.Assign) and _tells(node.value, name, aliases):
                aliases |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        for node in walk(handler):
            if (
                isinstance(node, ast.Return)
                and node.value is not None
                and _tells(node.value, name, aliases)
            ):
                yield node, "the text of an exception is in the answer"


def returned_traces(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: returned traces."""
    if "traceback" not in file.text and "exc_info" not in file.text:
        return
    for node in file.nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            for each in walk(node.value):
                if isinstance(each, ast.Call) and file.name(each.func) in (
                    "traceback.format_exc",
                    "traceback.format_exception",
                    "sys.exc_info",
                ):
                    yield node, "the trace of an exception is in the answer"


def _whole(node: ast.AST) -> bool:
    """Tell whether an argument is a whole event, as it is or as JSON."""
    if isinstance(node, ast.Name):
        return node.id in EVENTS
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
            if names and names[0] in EVENTS:
                lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def logged_events(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: logged events."""
    inside = _handlers(file) if any(word in file.text for word in EVENTS) else set()
    for call, name in file.calls() if inside else ():
        if call.lineno in inside and _LOGGERS.match(name) and any(map(_whole, call.args)):
            yield call, "the whole event is logged"


_SHOWING = frozenset(
    (
        *("dict", "str", "repr", "dumps", "format", "pformat", "jsonify", "copy", "deepcopy"),
        *("list", "tuple", "encode", "join", "items", "values", "escape"),
    )
)


def _given_on(value: ast.AST) -> set[int]:
    """Return what is given to functions that answer with something of their own."""
    given = set[int]()
    for call in walk(value):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in _SHOWING and "response" not in name.lower():
                arguments = (*call.args, *(each.value for each in call.keywords))
                given |= {id(each) for argument in arguments for each in walk(argument)}
    return given


def _whole_environment(file: PythonFile, value: ast.AST, without: Set[int] = frozenset()) -> bool:
    """Tell whether an expression has the whole environment in it, and not one variable of it."""
    every = walk(value)
    environ = [e for e in every if isinstance(e, ast.Attribute) and e.attr == "environ"]
    if not environ:
        return False
    asked = {
        id(e.value)
        for e in every
        if isinstance(e, ast.Subscript) or (isinstance(e, ast.Attribute) and e.attr == "get")
    }
    asked |= {
        id(each)
        for e in every
        if isinstance(e, ast.Compare)
        for each in e.comparators  # `"STAGE" in os.environ`
    }
    asked |= {id(each) for e in every for each in _named_only(e)} | without
    return any(id(e) not in asked and file.name(e) == "os.environ" for e in environ)


def _named_only(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what is asked for its names alone: `list(os.environ)`, `os.environ.keys()`."""
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
        yield node.func.value
    elif isinstance(node.func, ast.Name) and node.func.id in ("list", "sorted", "len", "set"):
        yield from node.args


def logged_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: logged environment."""
    for call, name in file.calls():
        if _LOGGERS.match(name) and any(_whole_environment(file, a) for a in call.args):
            yield call, "the whole environment is logged, with the function's credentials"


def returned_environment(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: returned environment."""
    for node in file.nodes:
        if (
            isinstance(node, ast.Return)
            and node.value is not None
            and _whole_environment(file, node.value, _given_on(node.value))
        ):
            yield node, "the whole environment is in the answer, with the function's credentials"


def logged_secrets(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: logged secrets."""
    for call, name in file.calls():
        if _LOGGERS.match(name):
            for argument in (*call.args, *(k.value for k in call.keywords)):
                measured = _measured(argument)
                for each in walk(argument):
                    found = (
                        each.id
                        if isinstance(each, ast.Name)
                        else each.attr
                        if isinstance(each, ast.Attribute)
                        else ""
                    )
                    if found and SECRETIVE.match(found) and id(each) not in measured:
                        yield call, f"{found[:40]} is logged"


def _measured(argument: ast.AST) -> set[int]:
    """Return what is only measured in an argument: its length, its type, whether it is there."""
    return {
        id(measured)
        for e in walk(argument)
        if isinstance(e, ast.Call) and getattr(e.func, "id", "") in ("len", "bool", "type")
        for measured in e.args
    }


def debug(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: debug."""
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


def unverified(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: unverified."""
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
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Attribute)
            and isinstance(node.targets[0], ast.Attribute)
            and file.name(node.value) in ("ssl.CERT_NONE", "ssl._create_unverified_context")
        ):
            yield node, "certificates are not checked"


def swallowed(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: swallowed."""
    for node in file.nodes:
        if (
            isinstance(node, ast.ExceptHandler)
            and all(isinstance(b, (ast.Pass, ast.Continue)) for b in node.body)
            and (
                node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            )
        ):
            yield node, "every error is passed over without a word"


def evaluated(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: evaluated."""
    for call, name in file.calls():
        if (
            name in ("eval", "exec", "builtins.eval", "builtins.exec")
            and call.args
            and not isinstance(call.args[0], ast.Constant)
        ):
            yield call, f"{name} runs a text that is made while it runs"


def shell(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: shell."""
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


def unpickled(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: unpickled."""
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


def _is_own_file(file: PythonFile, call: ast.Call) -> bool:
    """Tell whether what is read is a file that comes with the code: nobody else writes it.

    Its name is written out and leads to no folder that can be written.
    """
    given = call.args[0] if call.args else None
    if isinstance(given, ast.Name):
        opened = [
            item.context_expr
            for node in file.nodes
            if isinstance(node, (ast.With, ast.AsyncWith))
            for item in node.items
            if isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == given.id
        ]
        bound = [n for n in file.nodes if isinstance(n, ast.Name) and n.id == given.id]
        stored = sum(isinstance(n.ctx, ast.Store) for n in bound)
        taken = any(isinstance(n, ast.arg) and n.arg == given.id for n in file.nodes)
        moved = any(name == "os.chdir" for _, name in file.calls())
        if not opened or stored != len(opened) or taken or moved:
            return False
    else:
        opened = [given] if given is not None else []
    return bool(opened) and all(_opens_own(file, each) for each in opened)


def _opens_own(file: PythonFile, opened: ast.expr) -> bool:
    if not isinstance(opened, ast.Call) or file.name(opened.func) not in ("open", "io.open"):
        return False
    name = opened.args[0] if opened.args else None
    return (
        isinstance(name, ast.Constant)
        and isinstance(name.value, str)
        and not name.value.startswith(("/", "~", ".."))
    )


def yaml(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: yaml."""
    for call, name in file.calls():
        if name in ("yaml.load", "yaml.load_all"):
            loader = _argument(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
            named = file.name(loader) if loader is not None else ""
            if _is_own_file(file, call):
                continue
            if loader is None or named.endswith(("UnsafeLoader", ".Loader")) or named == "Loader":
                yield call, "YAML makes objects of any class"
        elif name in ("yaml.unsafe_load", "yaml.unsafe_load_all") and not _is_own_file(file, call):
            yield call, "YAML makes objects of any class"


def _verifies(file: PythonFile) -> bool:
    """Tell whether a file checks signatures: claims may be read before that, and after it."""
    return any(
        (name.endswith(".verify") and len(call.args) > 1)
        or (
            name in ("jwt.decode", "jose.jwt.decode", "jose.jws.verify")
            and (len(call.args) > 1 or _argument(call, "key") is not None)
            and _argument(call, "options") is None
        )
        for call, name in file.calls()
    )


def unsigned(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: unsigned."""
    for call, name in file.calls():
        if name in ("jwt.decode", "jose.jwt.decode", "jose.jwt.get_unverified_claims"):
            options = _argument(call, "options")
            off = _is(_argument(call, "verify"), False) or (
                name.endswith("get_unverified_claims") and not _verifies(file)
            )
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
                    for e in walk(algorithms)
                )
            if off:
                yield call, "the signature of a token is not checked"


def weak_hash(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: weak hash."""
    for call, name in file.calls():
        if name in ("hashlib.md5", "hashlib.sha1") and not _is(
            _argument(call, "usedforsecurity"), False
        ):
            names = {n.id.lower() for a in call.args for n in walk(a) if isinstance(n, ast.Name)}
            if any("passw" in n or "secret" in n or "token" in n for n in names):
                yield call, f"{name} is no hash for passwords"
    for node in file.nodes:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            one, other = (_parts_of(each) for each in (node.left, node.comparators[0]))
            if plain_passwords.are_compared(one, other, _SENT):
                yield node, plain_passwords.KEPT


_SENT = frozenset(("cls", "environ", "data", "json", "os", "app"))


def _parts_of(node: ast.expr) -> list[str] | None:
    """Return the names of a thing, the first one first: `user`, `password` of `user['password']`."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        call = node.func if isinstance(node, ast.Call) else None
        if isinstance(call, ast.Attribute) and call.attr == "get":
            first = node.args[0] if isinstance(node, ast.Call) and node.args else None
            key, node = getattr(first, "value", None), call.value
        elif isinstance(node, ast.Subscript):
            key, node = getattr(node.slice, "value", None), node.value
        elif isinstance(node, ast.Attribute):
            key, node = node.attr, node.value
        else:
            return None
        parts.append(key if isinstance(key, str) else "")
    return [node.id, *reversed(parts)]


def guessable(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: guessable."""
    for node in file.nodes:
        if isinstance(node, ast.Assign):
            names = [t.id.lower() for t in node.targets if isinstance(t, ast.Name)]
            if any(
                re.search(r"token|secret|passw|session_?id|otp|nonce|api_?key|reset_?code|salt", n)
                for n in names
            ):
                for each in walk(node.value):
                    if isinstance(each, ast.Call) and re.match(
                        r"^random\.(?:random|randint|choice|choices|randrange|sample|getrandbits)$",
                        file.name(each.func),
                    ):
                        yield node, f"{names[0]} is made of numbers that can be guessed"


def temporary(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: temporary."""
    for call, name in file.calls():
        if name == "tempfile.mktemp":
            yield call, "mktemp names a file that others may make first"


def permissions(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: permissions."""
    for call, name in file.calls():
        if (
            name == "os.chmod"
            and len(call.args) > 1
            and isinstance(call.args[1], ast.Constant)
            and call.args[1].value in (0o777, 0o666)
        ):
            yield call, "everybody may change the file"


def unpacked(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: unpacked."""
    if "tarfile" in file.text:
        for call, name in file.calls():
            if (
                name.endswith(".extractall")
                and _argument(call, "filter") is None
                and "zip" not in name.lower()
            ):
                yield call, "an archive writes wherever it says"


def forever(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: forever."""
    for call, name in file.calls():
        if (
            _HTTP_CALLS.match(name)
            and name.startswith("requests.")
            and _argument(call, "timeout") is None
            and not any(k.arg is None for k in call.keywords)
        ):
            yield call, "a server that never answers holds the function until its end"


def host_keys(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: host keys."""
    for call, name in file.calls():
        if (
            name.endswith("set_missing_host_key_policy")
            and call.args
            and "AutoAddPolicy" in ast.dump(call.args[0])
        ):
            yield call, "every server is taken for the right one"


def unescaped(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: unescaped."""
    for call, name in file.calls():
        if (
            name == "jinja2.Environment"
            and (_argument(call, "autoescape") is None or _is(_argument(call, "autoescape"), False))
            and not any(k.arg is None for k in call.keywords)
        ):
            yield call, "what is put into pages is not escaped"


def kept(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find globals that handlers give what is in an event."""
    for node in file.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.args]
            if not names or names[0] not in EVENTS:
                continue
            shared = {n for g in walk(node) if isinstance(g, ast.Global) for n in g.names}
            for each in walk(node) if shared else ():
                if (
                    isinstance(each, ast.Assign)
                    and any(isinstance(t, ast.Name) and t.id in shared for t in each.targets)
                    and any(isinstance(n, ast.Name) and n.id == names[0] for n in walk(each.value))
                ):
                    yield each, "what is in an event is kept for the next caller"


def secret_key(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: secret key."""
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


def open_answers(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: open answers."""
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


def entities(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: entities."""
    for call, name in file.calls():
        if name == "lxml.etree.XMLParser" and (
            _is(_argument(call, "resolve_entities"), True)
            or _is(_argument(call, "no_network"), False)
        ):
            yield call, "XML brings in files and addresses"


def asserted(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find: asserted."""
    for node in file.nodes:
        if isinstance(node, ast.Assert) and re.search(
            r"is_admin|authori[sz]ed|authenticated|permission|has_role|is_owner",
            ast.unparse(node.test)[:400],
        ):
            yield node, "a right is asked for by assert, which python -O leaves out"
