"""Looks for what Python does unsafely: checks that are off, texts that are run, weak secrets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules import plain_passwords
from casemate.audit.rules.checked_commands import unchecked
from casemate.audit.rules.looks import EVENTS, argument, is_value
from casemate.audit.rules.python_settings import DJANGO, STAGES
from casemate.audit.rules.signed_data import signed_reads
from casemate.audit.syntax import walk

_HTTP_CALLS = re.compile(
    r"^(?:requests|httpx)\.(?:get|post|put|patch|delete|head|options|request)$"
)


def debug(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find frameworks whose debugging is on."""
    for call, name in file.calls():
        if name.endswith(".run") and is_value(argument(call, "debug"), True):
            yield call, "the framework's debugger is on"
        elif name in (
            "fastapi.FastAPI",
            "starlette.applications.Starlette",
            "chalice.Chalice",
        ) and is_value(argument(call, "debug"), True):
            yield call, "debugging is on: answers contain traces"
    settings = DJANGO.search(file.text) is not None and not STAGES.search(file.file)
    for node in file.nodes:
        if isinstance(node, ast.Assign) and is_value(node.value, True):
            for target in node.targets:
                if settings and getattr(target, "id", "") in (
                    "DEBUG",
                    "DEBUG_PROPAGATE_EXCEPTIONS",
                ):
                    yield node, "Django's debugging is on: errors answer with source and settings"
                if (
                    isinstance(target, ast.Attribute)
                    and target.attr == "debug"
                    and getattr(target.value, "id", "") in ("app", "application")
                ):
                    yield node, "debugging is on: answers contain traces"


_CLIENTS = re.compile(
    r"^(?:requests|httpx|boto3|aiohttp|botocore|elasticsearch|session|s|self|client)\b"
)
_HTTP = re.compile(r"\b(?:requests|httpx|Session|hvac|elasticsearch)\b")
_UNCHECKED = "certificates are not checked"
_NO_CERTIFICATE = ("validate", "cert_reqs", "ssl_cert_reqs", "verify_mode")
_ALLOWING = ("tlsAllowInvalidCertificates", "tlsInsecure", "ssl_no_verify", "tls_insecure")


def unverified(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find connections whose certificates are not checked."""
    for call, name in file.calls():
        if is_value(argument(call, "verify"), False) and _CLIENTS.match(name):
            yield call, "the certificate is not checked"
        elif name == "ssl._create_unverified_context" or _takes_every(file, call, name):
            yield call, _UNCHECKED
        elif name.startswith("boto3.") and is_value(argument(call, "use_ssl"), False):
            yield call, "AWS is called without encryption"
    context = "CERT_NONE" in file.text
    for node in file.nodes:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(node, ast.Assign) or not isinstance(target, ast.Attribute):
            continue
        if file.name(node.value) in ("ssl.CERT_NONE", "ssl._create_unverified_context"):
            yield node, _UNCHECKED
        elif is_value(node.value, False):
            if target.attr == "verify" and _HTTP.search(file.text):
                yield node, "the certificate is not checked"
            elif target.attr == "check_hostname" and "ssl" in file.text and not context:
                yield node, "a certificate of any other host is accepted"


def _takes_every(file: PythonFile, call: ast.Call, name: str) -> bool:
    """Tell whether a client is told by its own options to take every certificate."""
    for each in call.keywords:
        value = getattr(each.value, "value", None)
        if each.arg in _NO_CERTIFICATE:
            of_ssl = file.name(each.value) == "ssl.CERT_NONE"
            if of_ssl or (isinstance(value, str) and value.upper() in ("CERT_NONE", "NONE")):
                return True
        if each.arg in _ALLOWING and value is True:
            return True
    unset = is_value(argument(call, "ssl"), False)
    connector = unset or is_value(argument(call, "verify_ssl"), False)
    if name == "aiohttp.TCPConnector":
        return connector
    asked = name.rpartition(".")[2] in ("get", "post", "put", "patch", "delete", "request")
    return unset and asked and "aiohttp" in file.text


def swallowed(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find handlers of every error that do nothing."""
    for node in file.nodes:
        if (
            isinstance(node, ast.ExceptHandler)
            and all(isinstance(b, (ast.Pass, ast.Continue)) for b in node.body)
            and (
                node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            )
        ):
            yield node, "every error is silently ignored"


def evaluated(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find code that is made while it runs."""
    for call, name in file.calls():
        if (
            name in ("eval", "exec", "builtins.eval", "builtins.exec")
            and call.args
            and not isinstance(call.args[0], ast.Constant)
        ):
            yield call, f"{name} runs a text that is built at run time"


def shell(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find command lines that are made while they run, of what nobody has checked."""
    yield from unchecked(file, list(_shell(file)))


def _shell(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    for call, name in file.calls():
        first = call.args[0] if call.args else None
        fixed = isinstance(first, ast.Constant) or first is None
        if (
            name in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
            and not fixed
        ):
            yield call, f"{name} runs a command line that is built at run time"
        elif (
            name.startswith("subprocess.") and is_value(argument(call, "shell"), True) and not fixed
        ):
            yield call, "a shell runs a command line that is built at run time"


_UNPICKLING = frozenset(
    (
        *("pickle.loads", "cPickle.loads", "dill.loads", "jsonpickle.decode", "marshal.loads"),
        *("shelve.open", "pickle.Unpickler"),
    )
)


def unpickled(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find formats whose data tells what to run."""
    calls = [(call, name) for call, name in file.calls() if name in _UNPICKLING]
    signed = signed_reads(file, [call for call, _ in calls]) if calls else set()
    for call, name in calls:
        if id(call) not in signed:
            yield call, f"{name} runs what the data says"


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
    """Find YAML that makes objects of any class."""
    for call, name in file.calls():
        if name in ("yaml.load", "yaml.load_all"):
            loader = argument(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
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
            and (len(call.args) > 1 or argument(call, "key") is not None)
            and argument(call, "options") is None
        )
        for call, name in file.calls()
    )


def unsigned(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find tokens whose signature is not checked."""
    for call, name in file.calls():
        if name in ("jwt.decode", "jose.jwt.decode", "jose.jwt.get_unverified_claims"):
            options = argument(call, "options")
            off = is_value(argument(call, "verify"), False) or (
                name.endswith("get_unverified_claims") and not _verifies(file)
            )
            if isinstance(options, ast.Dict):
                for key, value in zip(options.keys, options.values, strict=False):
                    off = off or (
                        isinstance(key, ast.Constant)
                        and key.value == "verify_signature"
                        and is_value(value, False)
                    )
            algorithms = argument(call, "algorithms")
            if algorithms is not None:
                off = off or any(
                    isinstance(e, ast.Constant) and str(e.value).lower() == "none"
                    for e in walk(algorithms)
                )
            if off:
                yield call, "the signature of a token is not checked"


def weak_hash(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find passwords that are hashed weakly, or compared as they are."""
    for call, name in file.calls():
        if name in ("hashlib.md5", "hashlib.sha1") and not is_value(
            argument(call, "usedforsecurity"), False
        ):
            named = {n.id.lower() for a in call.args for n in walk(a) if isinstance(n, ast.Name)}
            if any("passw" in n or "secret" in n or "token" in n for n in named) or any(
                "passw" in part.lower() for a in call.args for part in _keys_in(a)
            ):
                yield call, f"{name} is not a hash for passwords"
    for node in file.nodes:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            one, other = (_parts_of(each) for each in (node.left, node.comparators[0]))
            if plain_passwords.are_compared(one, other, _SENT):
                yield node, plain_passwords.KEPT


def _keys_in(node: ast.AST) -> Iterator[str]:
    """Yield what is asked for by name: `password` of `form["password"]` and `user.password`."""
    for each in walk(node):
        if isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.Subscript):
            yield str(getattr(each.slice, "value", ""))
        elif isinstance(each, ast.Call) and getattr(each.func, "attr", "") == "get":
            yield from (str(getattr(argument, "value", "")) for argument in each.args[:1])


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


def temporary(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find temporary files whose names others may take first."""
    for call, name in file.calls():
        if name == "tempfile.mktemp":
            yield call, "mktemp names a file that others may create first"


def permissions(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find files that everybody may change."""
    for call, name in file.calls():
        if (
            name == "os.chmod"
            and len(call.args) > 1
            and isinstance(call.args[1], ast.Constant)
            and call.args[1].value in (0o777, 0o666)
        ):
            yield call, "everybody may change the file"


def unpacked(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find archives that write wherever they say."""
    if "tarfile" in file.text:
        for call, name in file.calls():
            if (
                name.endswith(".extractall")
                and _filters_nothing(argument(call, "filter"))
                and "zip" not in name.lower()
            ):
                yield call, "an archive can write anywhere"


def _filters_nothing(given: ast.expr | None) -> bool:
    return given is None or getattr(given, "value", None) == "fully_trusted"


def forever(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find requests without a time limit."""
    for call, name in file.calls():
        if (
            _HTTP_CALLS.match(name)
            and name.startswith("requests.")
            and argument(call, "timeout") is None
            and not any(k.arg is None for k in call.keywords)
        ):
            yield call, "a server that never answers holds the function until its timeout"


def host_keys(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find SSH clients that take every server for the right one."""
    for call, name in file.calls():
        if (
            name.endswith("set_missing_host_key_policy")
            and call.args
            and "AutoAddPolicy" in ast.dump(call.args[0])
        ):
            yield call, "every host key is accepted"


def unescaped(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find templates that escape nothing."""
    for call, name in file.calls():
        if (
            name == "jinja2.Environment"
            and (
                argument(call, "autoescape") is None
                or is_value(argument(call, "autoescape"), False)
            )
            and not any(k.arg is None for k in call.keywords)
        ):
            yield call, "values in pages are not escaped"


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
                    yield each, "data of an event is kept for the next caller"


def entities(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find XML that brings in files and addresses."""
    for call, name in file.calls():
        if name == "lxml.etree.XMLParser" and (
            is_value(argument(call, "resolve_entities"), True)
            or is_value(argument(call, "no_network"), False)
        ):
            yield call, "XML can read files and URLs"


def asserted(file: PythonFile) -> Iterator[tuple[ast.AST, str]]:
    """Find rights that are asked for by `assert`."""
    for node in file.nodes:
        if isinstance(node, ast.Assert) and re.search(
            r"is_admin|authori[sz]ed|authenticated|permission|has_role|is_owner",
            ast.unparse(node.test)[:400],
        ):
            yield node, "a right is checked by assert, which python -O removes"
