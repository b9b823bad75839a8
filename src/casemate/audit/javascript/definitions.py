"""Functions and classes, made where the code makes them."""

from __future__ import annotations

from casemate.audit.flow.state import Mapping, State
from casemate.audit.flow.values import Const, Ref, Value
from casemate.audit.javascript import members, scopes
from casemate.audit.javascript.reader import Frame, Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.texts_of import string_of
from casemate.audit.javascript.values import CLASS, PROTOTYPE, UNDEFINED, Function, thing_of

FIELDS = "=fields"
"""Among the properties of a class: nothing is kept there, its fields are read for each object."""


def function(reader: Reader, node: Node, state: State, owner: int = 0) -> Ref:
    """Make a function of its syntax."""
    name = node.get("name")
    arrow = node.kind == "arrow_function"
    made = Function(
        node=node,
        file=reader.frame.file,
        scope=reader.frame.scope,
        name=name.text if name is not None else "",
        this=reader.frame.this if arrow else None,
        arrow=arrow,
        owner=owner or (reader.frame.owner if arrow else 0),
        asynchronous="async" in node.marks,
    )
    return reader.function(made, state)


def declare_function(reader: Reader, node: Node, state: State) -> None:
    """Make a function that is declared, under its name."""
    name = node.get("name")
    if name is not None:
        scopes.declare(reader.frame.scope, name.text, function(reader, node, state), state)


def declare_class(reader: Reader, node: Node, state: State) -> None:
    """Make a class that is declared, under its name."""
    name = node.get("name")
    made = class_(reader, node, state)
    if name is not None:
        scopes.declare(reader.frame.scope, name.text, made, state)


def class_(reader: Reader, node: Node, state: State) -> Ref:
    """Make a class of its syntax: its methods are in its prototype."""
    base = _base(reader, node, state)
    made = function(reader, node, state)
    prototype = reader.new(Mapping({}), state)
    known: dict[object, Value] = {PROTOTYPE: prototype}
    if base is not None:
        known[CLASS] = base
    state.things[made.number] = Mapping(known, type="function")
    body = node.get("body")
    for each in body.kids if body is not None else ():
        if each.kind == "method_definition":
            _method(reader, each, made, prototype, state)
        elif each.kind in ("field_definition", "public_field_definition"):
            if "static" in each.marks:
                key = each.get("property") or each.get("name")
                value = reader.evaluate(each.get("value"), state)
                if key is not None:
                    members.put(reader, made, Const(key.text), value, state, each)
        elif each.kind == "class_static_block":
            inner = each.get("body")
            reader.execute(inner.kids if inner is not None else [], state)
    return made


def _base(reader: Reader, node: Node, state: State) -> Value | None:
    for each in node.kids:
        if each.kind == "class_heritage" and each.kids:
            inner = each.kids[0]
            if inner.kind == "extends_clause":
                return reader.evaluate(inner.get("value"), state)
            return reader.evaluate(inner, state)
    return None


def _method(reader: Reader, node: Node, owner: Ref, prototype: Ref, state: State) -> None:
    name = node.get("name")
    if name is None:
        return
    key = name.text or string_of(name)
    if name.kind == "computed_property_name" or key is None:
        return
    made = function(reader, node, state, owner.number)
    static = "static" in node.marks
    members.put(reader, owner if static else prototype, Const(key), made, state, node)


def set_fields(reader: Reader, owner: Ref, this: Value, state: State) -> None:
    """Give an object the fields of its class, those of its bases first."""
    of = thing_of(owner, state)
    function_ = reader.functions.get(owner.number)
    if not isinstance(of, Mapping) or function_ is None or function_.node is None:
        return
    body = function_.node.get("body")
    for each in body.kids if body is not None else ():
        if each.kind in ("field_definition", "public_field_definition"):
            key = each.get("property") or each.get("name")
            if key is None or "static" in each.marks:
                continue
            outer = reader.frame
            reader.frame = Frame(
                function_.file, function_.scope, this, owner.number, exports=outer.exports
            )
            try:
                value = reader.evaluate(each.get("value"), state)
            finally:
                reader.frame = outer
            members.put(reader, this, Const(key.text), value, state, each)


def constructor_of(reader: Reader, owner: Ref, state: State) -> Value:
    """Return the constructor that a class has itself."""
    of = thing_of(owner, state)
    held = thing_of(of.known.get(PROTOTYPE, UNDEFINED), state) if isinstance(of, Mapping) else None
    return held.known.get("constructor", UNDEFINED) if isinstance(held, Mapping) else UNDEFINED
