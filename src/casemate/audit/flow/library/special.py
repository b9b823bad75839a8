"""Sinks whose danger depends on several arguments: shells, loaders, parsers, cookies, hashes."""

from __future__ import annotations

import ast

from casemate.audit.flow.library import answers, functions, signed
from casemate.audit.flow.library.choices import WEAK_CIPHERS, cipher, cookie, hash_
from casemate.audit.flow.library.documents import dynamodb, find_documents, statements, textual
from casemate.audit.flow.library.telling import Check, tell
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Instance, Mapping, Sequence, State
from casemate.audit.flow.values import (
    ANYTHING,
    NONE,
    TRUE,
    External,
    Ref,
    Taints,
    Text,
    Tup,
    Unknown,
    Value,
    known_text,
    options,
    truth,
)


def check(
    reader: Reader,
    name: str,
    given: Arguments,
    state: State,
    node: ast.AST,
    receiver: Value | None,
) -> bool | None:
    """Look at a call; None if it is not one of these, else whether it is a sink."""
    found = _EXACT.get(name)
    if found is None:
        method = name.rpartition(".")[2]
        found = _METHODS.get(method) if method != name else None
    return None if found is None else found(reader, name, given, state, node, receiver)


# -- programs --------------------------------------------------------------------------------------

_SHELLS = frozenset(
    (
        "sh",
        "bash",
        "/bin/sh",
        "/bin/bash",
        "zsh",
        "dash",
        "cmd",
        "cmd.exe",
        "powershell",
        "ksh",
        "/usr/bin/bash",
        "/usr/bin/env",
        "ssh",
        "su",
        "xargs",
        "python",
        "python3",
        "perl",
        "node",
    )
)


def _process(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    command = given.get(0, "args", "cmd", "command")
    shell = given.named.get("shell")
    if command is None:
        return True
    with_shell = shell is not None and truth(shell) is not False
    for option in options(command):
        items = _items(option, state)
        if items is None:
            if with_shell:
                tell(reader, "command", name, option, state, node)
            else:
                tell(reader, "argument", name, option, state, node, "medium")
            continue
        _arguments(reader, name, items, with_shell, state, node)
    return True


def _items(value: Value, state: State) -> list[Value] | None:
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    if isinstance(thing, Tup):
        return list(thing.items)
    if isinstance(thing, Sequence):
        rest = [thing.rest] if thing.rest is not None else []
        return [*(thing.items or ()), *rest]
    return None


def _arguments(
    reader: Reader, name: str, items: list[Value], shell: bool, state: State, node: ast.AST
) -> None:
    if not items:
        return
    first = {known_text(option) for option in options(items[0])}
    runs_text = bool(first & _SHELLS) or None in first
    flags = [known_text(option) for item in items[1:] for option in options(item)]
    is_shell = bool(first & _SHELLS) and any(
        flag in ("-c", "/c", "/C", "-e", "-Command", "-lc", "-ec") for flag in flags
    )
    if shell:
        tell(reader, "command", name, items[0], state, node)
    elif is_shell or (runs_text and first & {"ssh", "su"}):
        for item in items[1:]:
            tell(reader, "command", name, item, state, node)
    tell(reader, "argument", name, items[0], state, node, "medium")


# -- loaders and parsers ---------------------------------------------------------------------------

_SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")


def _yaml(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    loader = given.get(1, "Loader")
    for option in options(loader) if loader is not None else (NONE,):
        called = option.name if isinstance(option, External) else getattr(option, "type", "")
        if not called.endswith(_SAFE_LOADERS):
            tell(reader, "deserialisation", name, given.get(0, "stream"), state, node)
    return False


def _torch(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    if given.named.get("weights_only") != TRUE:
        tell(reader, "deserialisation", name, given.get(0, "f"), state, node)
    tell(reader, "path", name, given.get(0, "f"), state, node, "medium")
    return True


def _numpy(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    if given.named.get("allow_pickle") == TRUE:
        tell(reader, "deserialisation", name, given.get(0, "file"), state, node)
    tell(reader, "path", name, given.get(0, "file"), state, node, "medium")
    return True


_XML_FEATURES = (
    "feature_external_ges",
    "external-general-entities",
    "feature_external_pes",
    "external-parameter-entities",
)


def _lxml(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    parser = given.get(1, "parser")
    found = _parser(parser, state)
    if found is None:
        # lxml before 5 reads files that entities name, unless it is told not to.
        tell(reader, "xml", name, given.get(0, "text", "source"), state, node, "medium")
    else:
        entities = found.attributes.get("=resolve_entities")
        risky = entities is not None and truth(entities) is not False
        if (entities is None and "XMLParser" in found.type) or risky:
            confidence = "high" if risky else "medium"
            tell(reader, "xml", name, given.get(0, "text", "source"), state, node, confidence)
    return False


def _parser(value: Value | None, state: State) -> Instance | None:
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    return thing if isinstance(thing, Instance) else None


def _sax(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    """Python's own parsers follow no entities from outside, unless they are told to."""
    candidates = [*given.all(), *([receiver] if receiver is not None else [])]
    for value in candidates:
        parser = _parser(value, state)
        if parser is None:
            continue
        for label, setting in parser.attributes.items():
            if label.removeprefix("=").endswith(_XML_FEATURES) and truth(setting) is not False:
                source = given.get(0, "source", "string", "file", "stream_or_string")
                tell(reader, "xml", name, source, state, node)
    return False


# -- answers ---------------------------------------------------------------------------------------


def _response(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    said = given.named.get("content_type") or given.named.get("mimetype")
    said = said or given.named.get("media_type")
    kinds: list[Value | None] = [] if said is None else [said]
    for option in options(given.named.get("headers") or ANYTHING):
        kinds += _of_headers(reader, name, option, state, node) or ([None] if said is None else [])
    by_default = not name.startswith(("starlette", "fastapi", "aws_lambda", "chalice"))
    if any(by_default if kind is None else _is_page(kind) for kind in kinds):
        if reader.stack and answers.typed_later(reader.stack[-1], node):
            return None
        body = given.get(0, "response", "content", "body", "text")
        if isinstance(body, Tup) and body.items:
            body = body.items[0]
        taints = state.deep(body) if body is not None else frozenset()
        loose = all(t.doubt and functions.WRITTEN.intersection(t.seen) for t in taints)
        tell(reader, "markup", name, body, state, node, "low" if loose else "high")
    return None


def _is_page(kind: Value) -> bool:
    text = known_text(kind)
    return text is None or "html" in text or "svg" in text


def _of_headers(
    reader: Reader, name: str, headers: Value, state: State, node: ast.AST
) -> list[Value | None]:
    """Return the kind of content that headers say, if they do, and look at where they lead."""
    thing = state.things.get(headers.number) if isinstance(headers, Ref) else None
    found: list[Value | None] = []
    for key, value in thing.known.items() if isinstance(thing, Mapping) else ():
        label = str(key[1]).lower() if isinstance(key, tuple) and len(key) == 2 else ""
        if label == "content-type":
            found.append(value)
        if label == "location":
            tell(reader, "redirect", name, value, state, node)
    return found


def _header(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    label = known_text(given.get(0) or ANYTHING) or ""
    weakness = "redirect" if label.lower() == "location" else "header"
    tell(reader, weakness, name, given.get(1), state, node, "medium")
    return True


# -- what is weak by itself ------------------------------------------------------------------------


# -- others ----------------------------------------------------------------------------------------


def _log(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    root = name.partition(".")[0]
    if root not in ("logging", "structlog", "loguru", "flask", "aws_lambda_powertools", "app"):
        return None
    filled = _filled(known_text(given.places[0]) or "") if given.places else []
    for number, value in enumerate(given.places):
        is_text = isinstance(value, Text) or (isinstance(value, Unknown) and textual(value))
        if 0 < number <= len(filled) and filled[number - 1] != "s":
            continue  # `%r` and `%d` have no line ends
        if is_text and tell(reader, "log", name, value, state, node, "low"):
            break
    return True


def _filled(pattern: str) -> list[str]:
    """Return how each argument is put into a pattern of `logging`: `s`, `r`, `d`."""
    parts = pattern.replace("%%", "").split("%")[1:]
    return [part.lstrip("-+ #0123456789.")[:1] for part in parts]


def _boto(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    tell(reader, "url", name, given.named.get("endpoint_url"), state, node)
    return None


def _extract(
    reader: Reader, name: str, given: Arguments, state: State, node: ast.AST, receiver: Value | None
) -> bool | None:
    if not name.startswith("tarfile."):
        return None
    if given.named.get("filter") is None and receiver is not None:
        taints: Taints = state.deep(receiver)
        value = Unknown(taints)
        tell(reader, "archive", name, value, state, node, "medium")
    return True


_EXACT: dict[str, Check] = {
    **dict.fromkeys(
        (
            *("subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.Popen"),
            *("subprocess.check_output", "sh.Command", "asyncio.subprocess.Process"),
        ),
        _process,
    ),
    **dict.fromkeys(("yaml.load", "yaml.load_all", "ruamel.yaml.load"), _yaml),
    "numpy.load": _numpy,
    "torch.load": _torch,
    **dict.fromkeys(
        (
            *(
                "lxml.etree.fromstring",
                "lxml.etree.parse",
                "lxml.etree.XML",
                "lxml.etree.fromstringlist",
            ),
            *("lxml.etree.iterparse", "lxml.objectify.fromstring", "lxml.objectify.parse"),
        ),
        _lxml,
    ),
    **dict.fromkeys(
        (
            *("xml.sax.parse", "xml.sax.parseString", "xml.dom.minidom.parse"),
            *(
                "xml.dom.minidom.parseString",
                "xml.dom.pulldom.parse",
                "xml.dom.pulldom.parseString",
            ),
            *("xml.sax.make_parser().parse", "xml.sax.make_parser().feed"),
            *("xml.etree.ElementTree.parse", "xml.etree.ElementTree.fromstring"),
        ),
        _sax,
    ),
    **dict.fromkeys(
        (
            *(
                "flask.Response",
                "flask.make_response",
                "django.http.HttpResponse",
                "werkzeug.Response",
            ),
            *("starlette.responses.Response", "fastapi.Response", "fastapi.responses.Response"),
            *(
                "aiohttp.web.Response",
                "quart.Response",
                "quart.make_response",
                "sanic.response.text",
            ),
            *("azure.functions.HttpResponse", "chalice.Response", "werkzeug.wrappers.Response"),
        ),
        _response,
    ),
    **dict.fromkeys(
        (
            *(
                "hashlib.md5",
                "hashlib.sha1",
                "hashlib.new",
                "hashlib.file_digest",
                "hashlib.pbkdf2_hmac",
            ),
            *("Crypto.Hash.MD5.new", "Cryptodome.Hash.MD5.new", "Crypto.Hash.SHA1.new"),
        ),
        hash_,
    ),
    **dict.fromkeys(("boto3.client", "boto3.resource", "aioboto3.client"), _boto),
    "cryptography.hazmat.primitives.ciphers.Cipher": cipher,
    "cryptography.hazmat.primitives.ciphers.modes.ECB": cipher,
}
for _library in ("Crypto", "Cryptodome"):
    for _name in (*WEAK_CIPHERS, "AES", "DES3"):
        _EXACT[f"{_library}.Cipher.{_name}.new"] = cipher
for _name in WEAK_CIPHERS:
    _EXACT[f"cryptography.hazmat.primitives.ciphers.algorithms.{_name}"] = cipher
_METHODS: dict[str, Check] = {
    "set_cookie": cookie,
    "send_header": _header,
    "putheader": _header,
    **dict.fromkeys(("info", "debug", "warning", "error", "critical", "exception", "warn"), _log),
    **dict.fromkeys(
        (
            *("find", "find_one", "find_one_and_update", "find_one_and_delete", "aggregate"),
            *("update_one", "update_many", "delete_one", "delete_many", "replace_one"),
            *("count_documents", "distinct", "find_one_and_replace"),
        ),
        find_documents,
    ),
    **dict.fromkeys(
        (*("scan", "update_item", "put_item", "delete_item", "get_item"),),
        dynamodb,
    ),
    **dict.fromkeys(
        (
            *("query", "execute_statement", "batch_execute_statement", "start_query_execution"),
            *("execute_sql", "select_object_content", "start_query"),
        ),
        statements,
    ),
    **dict.fromkeys(("extractall",), _extract),
    **dict.fromkeys(("generate_presigned_url", "generate_presigned_post"), signed.addresses),
}
