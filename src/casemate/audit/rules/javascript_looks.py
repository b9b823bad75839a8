"""What rules about JavaScript look for in a tree: each yields nodes and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.javascript.script_file import (
    ScriptFile,
    given,
    key_of,
    property_of,
    text_of,
)
from casemate.audit.javascript.syntax import Node
from casemate.audit.rules import plain_passwords
from casemate.audit.rules.looks import EVENTS, SECRETIVE

Found = Iterator[tuple[Node, str]]

_LOGGERS = re.compile(
    r"^console\.(?:log|info|debug|error|warn|trace|dir)$"
    r"|(?:^|\.)_?(?:log|logger|Log|Logger|LOG|LOGGER|powertoolsLogger)"
    r"\.(?:debug|info|warn|warning|error|fatal|critical|trace|log|verbose)$"
)
_TEXTS = ("JSON.stringify", "String", "util.inspect", "inspect", "util.format", "structuredClone")
COMPARED = frozenset(("===", "!==", "==", "!=", "instanceof", "in", "<", ">", "<=", ">="))
_HOLDING = frozenset(
    ("object", "array", "spread_element", "template_string", "template_substitution")
)
_STAGES = re.compile(
    r"NODE_ENV|STAGE|development|production|IS_OFFLINE|IS_LOCAL|isDev|isProd|debug"
)
_NAMES = frozenset(("identifier", "member_expression"))
_STAND_INS = re.compile(
    r"(?:^|[._])(?:(?:mock|fake|stub|dummy)(?:[A-Z_]|$)|(?:MOCK|FAKE|STUB|DUMMY)(?:_|$))"
)
"""Names of what stands in for the real thing: users of a mock have tokens that nothing verifies."""
_RUN = re.compile(
    r"^(?:vm\.(?:runInContext|runInNewContext|runInThisContext|compileFunction|Script)"
    r"|eval|(?:global|globalThis|window)\.eval)$"
)
_LATER = ("setTimeout", "setInterval", "setImmediate")
_TRACES = "errors are answered with their traces"
_TRACING = ("includeStacktraceInErrorResponses", "debug")
_OWN = ("127.0.0.1", "localhost", "::1")
_PAGES = ("errorhandler", "koa-error", "fastify-error-page", "youch", "better-error-handler")
_GRAPHS = re.compile(r"Apollo|[gG]raphql|mercurius|[yY]oga")
SESSIONS = re.compile(
    r"^(?:express-session|cookie-session|koa-session|iron-session|client-sessions"
    r"|@fastify/(?:secure-session|session|jwt|cookie)|fastify-jwt|express-jwt|cookie-parser)\b"
)
_CONNECTED = ("host", "hostname", "user", "username", "database", "port", "server", "endpoint")
_ERROR = re.compile(r"^(?:e|ex|err|error|exception)$", re.I)
_EXAMPLE = re.compile(
    r"example|test|dummy|fake|mock|localstack|foobar|local$|^\W*$|\s|\$\{|<", re.I
)


def is_logger(name: str) -> bool:
    """Tell whether a call of that name writes a line of a log."""
    return bool(_LOGGERS.search(name))


def by_stage(file: ScriptFile, node: Node) -> bool:
    """Tell whether a node runs only in some stages: what is asked there names one."""
    for around in file.around(node):
        condition = around.get("condition")
        if around.kind == "binary_expression" and around.marks[-1:] in (("&&",), ("||",)):
            condition = around.get("left")
        if condition is not None and condition is not node and asks_stage(file, condition):
            return True
    return False


def asks_stage(file: ScriptFile, condition: Node) -> bool:
    """Tell whether a condition names a stage."""
    return any(_STAGES.search(each.text) for each in file.below(condition) if each.text)


def _for_stand_ins(file: ScriptFile, node: Node) -> bool:
    """Tell whether a node runs only where something stands in for the real: the way of yes alone."""
    inner = node
    for around in file.around(node):
        asked, way = around.get("condition"), around.get("consequence")
        if around.kind == "binary_expression" and around.marks[-1:] == ("&&",):
            asked, way = around.get("left"), around.get("right")
        plain = asked is not None and asked.kind in _NAMES and way is inner
        if plain and _STAND_INS.search(file.name(asked)):
            return True
        inner = around
    return False


def logged_events(file: ScriptFile) -> Found:
    """Find whole events in logs."""
    for function, names in file.functions:
        if names and names[0] in EVENTS:
            calls = [each for each in file.below(function) if each.kind == "call_expression"]
            for call in calls:
                logs = is_logger(file.name(call.get("function")))
                if logs and any(_whole(file, each) for each in given(call)):
                    yield call, "the whole event is logged"


def _whole(file: ScriptFile, node: Node) -> bool:
    """Tell whether an argument is a whole event, as it is or as JSON."""
    file.spend()
    kind, inside = node.kind, list[Node]()
    if kind in ("identifier", "shorthand_property_identifier"):
        return node.text in EVENTS
    if kind == "call_expression":
        name = file.name(node.get("function"))
        if name in ("event.toString", "evt.toString"):
            return True
        inside = given(node)[:1] if name in _TEXTS else []
    elif kind == "pair":
        inside = node.kids[-1:]
    elif kind in _HOLDING or (kind == "binary_expression" and "+" in node.marks):
        inside = node.kids
    return any(_whole(file, kid) for kid in inside)


def told_environment(file: ScriptFile) -> Found:
    """Find the whole environment in logs, texts and answers."""
    for node in file.kinds["member_expression"]:
        if file.name(node) != "process.env":
            continue
        for around in file.around(node):
            if around.kind in ("pair", "object", "spread_element", "arguments"):
                continue
            name = file.name(around.get("function")) if around.kind == "call_expression" else ""
            if is_logger(name) or name in _TEXTS or _answered(file, around):
                yield node, "the whole environment is logged or answered"
            break


def _answered(file: ScriptFile, node: Node) -> bool:
    return node.kind == "return_statement" and "body" in {
        key_of(each) for each in file.below(node) if each.kind == "pair"
    }


def logged_secrets(file: ScriptFile) -> Found:
    """Find secrets in logs."""
    for call, name, arguments in file.calls:
        if is_logger(name):
            for argument in arguments:
                for told in _told(file, argument):
                    yield call, f"{told[:40]} is logged"


def _told(file: ScriptFile, argument: Node) -> Iterator[str]:
    """Yield the names of secrets whose values come to a log: not what is asked or made of them."""
    todo = [argument]
    while todo:
        node = todo.pop()
        file.spend()
        kind = node.kind
        if kind in ("identifier", "shorthand_property_identifier"):
            if SECRETIVE.match(node.text):
                yield node.text
        elif kind == "member_expression":
            last = node.get("property")
            if last is not None and SECRETIVE.match(last.text):
                yield last.text
        elif kind == "call_expression":
            if file.name(node.get("function")) in _TEXTS:
                todo += given(node)
        elif kind == "pair":
            todo += [value] if (value := node.get("value")) is not None else []
        elif kind == "ternary_expression":
            todo += node.kids[1:]
        elif kind in _HOLDING or (
            kind == "binary_expression" and not COMPARED.intersection(node.marks)
        ):
            todo += node.kids


def evaluated(file: ScriptFile) -> Found:
    """Find texts that are run as code."""
    for call, name, arguments in file.calls:
        if name in ("Function", "global.Function", "globalThis.Function"):
            if any(text_of(each) is None for each in arguments):
                yield call, "a text is run as code"
        elif _RUN.match(name):
            if arguments and not _is_own_program(file, arguments[0]):
                yield call, "a text is run as code"
        elif name in _LATER and arguments and _made_text(arguments[0]):
            yield call, "a text is run as code"


_READING = frozenset(
    ("fs.readFileSync", "fs.readFile", "fs/promises.readFile", "fs.promises.readFile")
)
_PLACES = ("path.join", "path.resolve", "path.posix.join", "require.resolve", "URL")
_OWN_FOLDER = ("__dirname", "__filename")
_MAX_OWN = 12


def _own_value(file: ScriptFile, node: Node) -> Node | None:
    """Return a value, or the one that a name stands for everywhere in the file."""
    taken = node.kind == "identifier" and node.text in file.taken
    return None if taken else value_of(file, node)


def _is_own_program(file: ScriptFile, node: Node, depth: int = 0) -> bool:
    """Tell whether a text is of the program itself: written out, or a file beside its code."""
    value = _own_value(file, node)
    if value is None or depth > _MAX_OWN:
        return False
    if value.kind == "await_expression" and value.kids:
        value = value.kids[0]
    if value.kind == "string":
        return True
    parts = value.kids if value.kind == "binary_expression" and "+" in value.marks else None
    if value.kind == "template_string":
        parts = [k.kids[0] for k in value.kids if k.kind == "template_substitution"]
    if parts is not None:
        return all(_is_own_program(file, each, depth + 1) for each in parts)
    arguments = given(value) if value.kind in ("call_expression", "new_expression") else []
    name = file.name(value.get("function") or value.get("constructor"))
    if name in _READING and arguments:
        return _is_own_place(file, arguments[0], depth + 1)
    callee = value.get("function")
    read = callee.get("object") if callee is not None and name.endswith(".toString") else None
    if read is not None:  # of a file's bytes
        return _is_own_program(file, read, depth + 1)
    made = name in ("String", "vm.Script") and bool(arguments)
    return made and _is_own_program(file, arguments[0], depth + 1)


def _is_own_place(file: ScriptFile, node: Node, depth: int) -> bool:
    """Tell whether a file lies beside the code: its name is written out, below a folder of it."""
    owner = node.get("object")
    if file.name(node) in _OWN_FOLDER or (owner is not None and owner.kind == "meta_property"):
        return True
    value = _own_value(file, node)
    if value is None or depth > _MAX_OWN:
        return False
    text = text_of(value)
    if text is not None:
        return not text.startswith(("/", "~", ".."))
    if value.kind == "template_string":
        holes = [kid.kids[0] for kid in value.kids if kid.kind == "template_substitution"]
        return all(_is_own_place(file, each, depth + 1) for each in holes)
    if value.kind == "binary_expression" and "+" in value.marks:
        return all(_is_own_place(file, kid, depth + 1) for kid in value.kids)
    name = file.name(value.get("function") or value.get("constructor"))
    return name in _PLACES and all(_is_own_place(file, each, depth + 1) for each in given(value))


def _made_text(node: Node) -> bool:
    """Tell whether an expression is a text that is made while it runs."""
    if node.kind == "template_string":
        return text_of(node) is None
    return (
        node.kind == "binary_expression"
        and "+" in node.marks
        and any(each.kind in ("string", "template_string") for each in node.kids)
    )


def debug(file: ScriptFile) -> Found:
    """Find switches of frameworks for their developers."""
    for node, what in _debugging(file):
        if not by_stage(file, node):
            yield node, what


def _debugging(file: ScriptFile) -> Found:
    for call, name, arguments in file.calls:
        texts = [text_of(each) for each in arguments]
        if name.partition(".")[0] in _PAGES or (
            name.endswith(".set") and texts == ["env", "development"]
        ):
            yield call, _TRACES
        elif name.endswith("inspector.open") and len(texts) > 1 and texts[1] not in _OWN:
            yield call, "everybody who reaches it can debug the process"
        elif _GRAPHS.search(name):
            for argument in arguments:
                if any(_is_true(property_of(argument, key)) for key in _TRACING):
                    yield call, _TRACES
                if any(_is_true(property_of(argument, key)) for key in ("graphiql", "playground")):
                    yield call, "a page for developers is served"
    for node in file.kinds["assignment_expression"]:
        left, value = file.name(node.get("left")), text_of(node.get("right"))
        if value == "development" and left in ("process.env.NODE_ENV", "app.env"):
            yield node, _TRACES
    for node in file.kinds["pair"] if "next.config." in file.file else ():
        if key_of(node) == "productionBrowserSourceMaps" and _is_true(node.get("value")):
            yield node, "the source is served with the pages"


def _is_true(node: Node | None) -> bool:
    return node is not None and node.kind == "true"


def swallowed(file: ScriptFile) -> Found:
    """Find errors that are passed over."""
    for node in file.kinds["catch_clause"]:
        body = node.get("body")
        if body is not None and not body.kids:
            yield node, "every error is silently ignored"
    for call, name, arguments in file.calls:
        if name.endswith(".catch") and len(arguments) == 1:
            body = arguments[0].get("body")
            if body is not None and body.kind == "statement_block" and not body.kids:
                yield call, "every error is silently ignored"


def weak_hash(file: ScriptFile) -> Found:
    """Find hashes of passwords that are too quick."""
    for call, name, arguments in file.calls:
        hashed = arguments
        if name.endswith("createHash().update"):
            inner = call.get("function")
            made = inner.get("object") if inner is not None else None
            if made is None or text_of(next(iter(given(made)), None)) not in ("md5", "sha1"):
                continue
        elif not re.search(r"(?:^|\.)(?:md5|MD5|sha1|SHA1)$", name):
            continue
        names = {each.text.lower() for a in hashed for each in file.below(a) if each.text}
        if any(re.search(r"passw(?:or)?d|passphrase", each) for each in names):
            yield call, "it is not a hash for passwords"


_SENT = frozenset(
    ("ctx", "this", "props", "state", "values", "process", "data_in", "datain", "dto")
)


def plain_password(file: ScriptFile) -> Found:
    """Find passwords that are kept as they are: what is sent is compared with what is stored."""
    for node in file.kinds["binary_expression"]:
        if node.marks[-1:] in (("===",), ("==",), ("!==",), ("!=",)):
            one, other = (_parts_of(file, node.get(side)) for side in ("left", "right"))
            if plain_passwords.are_compared(one, other, _SENT):
                yield node, plain_passwords.KEPT


def _parts_of(file: ScriptFile, node: Node | None) -> list[str] | None:
    """Return the names of a thing, the first one first: `user`, `password`."""
    if node is None or node.kind not in _NAMES:
        return None
    return [each.removesuffix("()") for each in file.name(node).split(".")]


def session_key(file: ScriptFile) -> Found:
    """Find keys of sessions that stand in the code."""
    what = "sessions are signed with a key that is in the code"
    for call, name, arguments in file.calls:
        made, options = name, arguments
        if name.endswith((".register", ".use")) and arguments:
            made, options = file.name(arguments[0]), arguments[1:]
        if SESSIONS.match(made):
            kept = [property_of(each, "secret", "keys", "password", "key") for each in options]
            kept += options[:1] if made.startswith(("cookie-parser", "@fastify/cookie")) else []
            if any(_written(each) for each in kept):
                yield call, what
    for node in file.kinds["assignment_expression"]:
        if file.name(node.get("left")) == "app.keys" and _written(node.get("right")):
            yield node, what
    for call in _signed(file):
        if not _for_stand_ins(file, call):
            yield call, "tokens are signed with a key that is in the code"


def stand_in_key(file: ScriptFile) -> Found:
    """Find keys that sign tokens only where something stands in for the real."""
    for call in _signed(file):
        if _for_stand_ins(file, call):
            yield call, "tokens of a stand-in are signed with a key that is in the code"


def fallback_key(file: ScriptFile) -> Found:
    """Find keys in the code that sign tokens where a variable of the environment is not set."""
    for call, name, arguments in file.calls:
        if name in _SIGNING and len(arguments) > 1:
            key = value_of(file, arguments[1])
            if key is not None and key.marks[-1:] in (("||",), ("??",)):
                left, right = key.get("left"), key.get("right")
                set_ = left is not None and file.name(left).startswith("process.env")
                if set_ and right is not None and _signs(text_of(right)):
                    yield call, "if the variable is not set, a key in the code signs tokens"


def _signed(file: ScriptFile) -> Iterator[Node]:
    """Yield calls that sign or look at tokens with a key that stands in the code."""
    for call, name, arguments in file.calls:
        if name in _SIGNING and len(arguments) > 1 and _signs(_text_in(file, arguments[1])):
            yield call


_SIGNING = frozenset(
    (
        *("jsonwebtoken.sign", "jsonwebtoken.verify", "jsonwebtoken.default.sign"),
        *("jsonwebtoken.default.verify", "jwt-simple.encode", "jwt-simple.decode", "njwt.create"),
    )
)
_SHOWN_KEYS = ("-----BEGIN PUBLIC", "-----BEGIN RSA PUBLIC", "-----BEGIN CERT")


def _signs(text: str | None) -> bool:
    """Tell whether a key makes signatures; with a public one they are only looked at."""
    return text is not None and len(text) > 3 and not text.strip().startswith(_SHOWN_KEYS)


def _text_in(file: ScriptFile, node: Node) -> str | None:
    """Return a text, or the one that a name stands for which the file gives once."""
    return text_of(value_of(file, node))


def value_of(file: ScriptFile, node: Node) -> Node | None:
    """Return a value, or the one that a name stands for which the file gives once."""
    if node.kind != "identifier":
        return node
    return file.constants.get(node.text)


def _written(node: Node | None) -> bool:
    if node is not None and node.kind == "array":
        return any(_written(each) for each in node.kids)
    return len(text_of(node) or "") > 3


_KEY_LENGTH = 16
"""Secret keys of AWS have 40 characters; a word is one that stands for a key, for a local server."""


def written_password(file: ScriptFile) -> Found:
    """Find passwords and keys that are given to clients as they stand in the code."""
    for pair in file.kinds["pair"]:
        key, value = key_of(pair), text_of(pair.get("value"))
        if value is None or len(value) < 6 or len(set(value)) < 3 or _EXAMPLE.search(value):
            continue
        around = file.parent(pair)
        beside = {key_of(each) for each in around.kids} if around is not None else set()
        connects = key in ("password", "passwd", "pass") and not beside.isdisjoint(_CONNECTED)
        signs = key in ("secretAccessKey", "aws_secret_access_key") and _drawn(value)
        if around is not None and _of_own_machine(around):
            continue
        if signs or connects:
            yield pair, f"{key} is in the code"


def _of_own_machine(around: Node) -> bool:
    """Tell whether what stands beside a key says that it opens something of this machine alone."""
    for each in around.kids:
        if key_of(each) in ("endpoint", "host", "hostname", "server"):
            where = text_of(each.get("value")) or ""
            if where.partition("://")[2].partition(":")[0].partition("/")[0] in _OWN:
                return True
            if where.partition(":")[0] in _OWN:
                return True
    return False


def _drawn(value: str) -> bool:
    """Tell whether a key was drawn by chance: capital words are what a local server is told."""
    return len(value) >= _KEY_LENGTH and not value.isupper()


def optional_certificates(file: ScriptFile) -> Found:
    """Find certificates that go unchecked only where a setting says so, and none does by itself."""
    for pair in file.kinds["pair"]:
        value = pair.get("value")
        if key_of(pair) != "rejectUnauthorized" or value is None or value.kind != "false":
            continue
        for around in file.around(pair):
            condition = around.get("condition")
            if condition is not None and _asks_setting(file, condition, around, pair):
                yield pair, "certificates are not checked if a setting says so"
                break


def _asks_setting(file: ScriptFile, condition: Node, around: Node, pair: Node) -> bool:
    """Tell whether `process.env.NAME` is asked to be true or something, by its own name."""
    first = around.get("consequence")
    if first is None or not any(each is pair for each in file.below(first)):
        return False
    if condition.kind == "binary_expression":
        if not {"===", "=="} & set(condition.marks):
            return False
        condition = condition.get("left") or condition
    name = file.name(condition)
    return name.startswith("process.env.") and not _STAGES.search(name)


def errors(file: ScriptFile) -> Iterator[tuple[Node, str]]:
    """Yield what handles errors, and the name that the error has there."""
    for node in file.kinds["catch_clause"]:
        caught = node.get("parameter")
        if caught is not None and caught.kind == "identifier":
            yield node, caught.text
    for function, names in file.functions:
        if names and names[0] and (_ERROR.match(names[0]) or caught_by(file, function)):
            yield function, names[0]


def caught_by(file: ScriptFile, function: Node) -> bool:
    """Tell whether a function is given to `catch` of a promise."""
    arguments = file.parent(function)
    call = file.parent(arguments) if arguments is not None else None
    return call is not None and file.name(call.get("function")).endswith(".catch")


LOOKS = {
    "logged events": logged_events,
    "told environment": told_environment,
    "logged secrets": logged_secrets,
    "evaluated": evaluated,
    "debug": debug,
    "swallowed": swallowed,
    "weak hash": weak_hash,
    "plain password": plain_password,
    "session key": session_key,
    "stand-in key": stand_in_key,
    "fallback key": fallback_key,
    "written password": written_password,
    "optional certificates": optional_certificates,
}
"""By the names that rules know them by."""
