"""Modules: what a file exports and imports, of CommonJS and of ECMAScript."""

from __future__ import annotations

from casemate.audit.flow.state import Mapping, Scope, State
from casemate.audit.flow.values import ANYTHING, Const, Ref, Value
from casemate.audit.javascript import members, patterns, scopes
from casemate.audit.javascript.reader import Frame, Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.texts_of import string_of
from casemate.audit.javascript.values import thing_of


def read(reader: Reader, file: str, state: State) -> Value:
    """Return what a file exports; it is read the first time."""
    if file in reader.modules:
        return _exported(reader, file, state)
    reader.require_time()  # a file may take its time to parse
    parsed = reader.files.parsed[file]
    scope = reader.new(Scope({}), state)
    exports = reader.new(Mapping({}), state)
    module = reader.new(Mapping({"exports": exports}), state)
    reader.modules[file] = module
    scopes.declare(scope.number, "module", module, state)
    scopes.declare(scope.number, "exports", exports, state)
    outer, reader.frame = reader.frame, Frame(file, scope.number, exports, exports=module)
    stack, reader.stack = reader.stack, []
    try:
        for line, what in parsed.broken:
            reader.unresolved(Node("", line, 0), what)
            reader.watcher.opened(reader, Node("", line, 0), what)
        after = reader.execute(parsed.tree.kids, state)
        if after is not None and after is not state:
            state.become(after)
        for name, own in reader.frame.live:  # `export let db; if (...) db = ...`
            set_export(reader, name, scopes.load(reader, own, state), state)
    finally:
        reader.frame, reader.stack = outer, stack
    return _exported(reader, file, state)


def _exported(reader: Reader, file: str, state: State) -> Value:
    thing = thing_of(reader.modules[file], state)
    return thing.known.get("exports", ANYTHING) if isinstance(thing, Mapping) else ANYTHING


def set_export(reader: Reader, name: str, value: Value, state: State) -> None:
    """Export a value from the file that is being read."""
    owner = members.get(reader, reader.frame.exports, "exports", state, None)
    members.put(reader, owner, Const(name), value, state, None)


def import_statement(reader: Reader, node: Node, state: State) -> None:
    """Read `import a, { b as c } from 'd'`; types are nothing."""
    source = node.get("source")
    for clause in node.kids if source is None else ():
        source = source or clause.get("source")  # `import a = require("a")` of TypeScript
    name = string_of(source)
    if name is None or "type" in node.marks or "typeof" in node.marks:
        return
    unread = reader.files.find(name, reader.frame.file)
    started = unread is not None and unread in reader.modules
    value = reader.required(name, state, node)
    for clause in node.kids:
        if clause.kind == "import_clause":
            for each in clause.kids:
                _imported(reader, each, value, unread if started else None, state)
        elif clause.kind == "import_require_clause" and clause.kids:
            scopes.declare(reader.frame.scope, clause.kids[0].text, value, state)


def _imported(reader: Reader, node: Node, value: Value, file: str | None, state: State) -> None:
    scope = reader.frame.scope
    if node.kind == "identifier":
        scopes.declare(scope, node.text, default_of(reader, value, state), state)
        if file is not None:
            reader.late[scope, node.text] = (file, "default")
    elif node.kind == "namespace_import" and node.kids:
        scopes.declare(scope, node.kids[-1].text, value, state)
    elif node.kind == "named_imports":
        for each in node.kids:
            name, alias = each.get("name"), each.get("alias")
            if name is None or "type" in each.marks:
                continue
            wanted = name.text or string_of(name) or ""
            found = (
                default_of(reader, value, state)
                if wanted == "default"
                else members.get(reader, value, wanted, state, node)
            )
            scopes.declare(scope, (alias or name).text, found, state)
            if file is not None:
                reader.late[scope, (alias or name).text] = (file, wanted)


def default_of(reader: Reader, value: Value, state: State) -> Value:
    """Return what `import x from` gives: the default, or all of a module of CommonJS."""
    thing = thing_of(value, state)
    if isinstance(value, Ref) and isinstance(thing, Mapping) and thing.type == "dict":
        found = thing.known.get("default")
        return found if found is not None else value
    return value


def export_statement(reader: Reader, node: Node, state: State) -> State | None:
    """Read `export ...` in each of its forms."""
    source, declaration, value = (node.get(n) for n in ("source", "declaration", "value"))
    if source is not None:
        _from_others(reader, node, string_of(source), state)
        return state
    if declaration is not None:
        after = reader.execute([declaration], state)
        if after is None:
            return None
        state = after
        for name in patterns.names_of(declaration):
            found = scopes.load(reader, name, state)
            set_export(reader, "default" if "default" in node.marks else name, found, state)
            if "const" not in declaration.marks and "default" not in node.marks:
                reader.frame.live.append((name, name))
            if "default" in node.marks:
                break
        else:
            if "default" in node.marks:
                set_export(reader, "default", reader.evaluate(declaration, state), state)
    elif value is not None:
        set_export(reader, "default", reader.evaluate(value, state), state)
    for clause in node.kids:
        if clause.kind == "export_clause":
            for one in clause.kids:
                own, alias = one.get("name"), one.get("alias")
                if own is not None:
                    found = scopes.load(reader, own.text, state)
                    set_export(reader, (alias or own).text, found, state)
                    reader.frame.live.append(((alias or own).text, own.text))
        elif clause is not declaration and clause is not value and "=" in node.marks:
            found = reader.evaluate(clause, state)  # `export = x` of TypeScript
            members.put(reader, reader.frame.exports, Const("exports"), found, state, node)
    return state


def _from_others(reader: Reader, node: Node, name: str | None, state: State) -> None:
    if name is None or "type" in node.marks:
        return
    value = reader.required(name, state, node)
    clauses = [each for each in node.kids if each.kind == "export_clause"]
    for clause in clauses:
        for one in clause.kids:
            own, alias = one.get("name"), one.get("alias")
            if own is not None:
                found = members.get(reader, value, own.text, state, node)
                set_export(reader, (alias or own).text, found, state)
    if clauses:
        return
    spaces = [each for each in node.kids if each.kind == "namespace_export"]
    if spaces and spaces[0].kids:
        set_export(reader, spaces[0].kids[-1].text, value, state)
        return
    thing = thing_of(value, state)
    if isinstance(thing, Mapping):
        for key, held in list(thing.known.items()):
            if key != "default":
                set_export(reader, str(key), held, state)


def late(reader: Reader, scope: int, name: str, state: State) -> Value | None:
    """Return what a name is that was imported while its file was still being read."""
    where = reader.late.get((scope, name))
    if where is None:
        return None
    value = _exported(reader, where[0], state)
    if where[1] == "default":
        return default_of(reader, value, state)
    return members.get(reader, value, where[1], state, None)
