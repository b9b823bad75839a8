"""Calls: of the code's own functions, of methods of values, of libraries."""

from __future__ import annotations

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_CALLS, MAX_ITEMS, MAX_RECURSION
from casemate.audit.flow.state import Instance, Mapping, Scope, Sequence, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    Bound,
    Const,
    External,
    Method,
    Ref,
    Taints,
    Unknown,
    Value,
    few,
    join,
    options,
    text_of,
)
from casemate.audit.javascript import definitions, members, patterns, scopes
from casemate.audit.javascript.reader import Frame, Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import (
    CLASS,
    NEVER,
    UNDEFINED,
    Function,
    is_object,
    name_of,
    thing_of,
)

_MAX_ARGUMENTS = 40


def call_expression(reader: Reader, node: Node, state: State) -> Value:
    """Read a call."""
    callee, given = node.get("function"), node.get("arguments")
    if callee is None or given is None:
        return ANYTHING
    if given.kind == "template_string":
        return _tagged(reader, callee, given, node, state)
    if callee.kind == "import":
        name_ = (arguments(reader, given, state) or [UNDEFINED])[0]
        return reader.require(name_, state, node)
    if callee.kind == "super":
        return _super_call(reader, arguments(reader, given, state), state, node)
    if callee.kind in ("member_expression", "subscript_expression"):
        owner, name = callee.get("object"), callee.get("property")
        if owner is not None and owner.kind == "super" and name is not None:
            return _super_method(reader, name.text, arguments(reader, given, state), state, node)
        receiver = reader.evaluate(owner, state)
        values = arguments
        if name is not None:
            return call_method(
                reader, receiver, name.text, values(reader, given, state), state, node
            )
        key = reader.evaluate(callee.get("index"), state)
        several = members.functions_at(reader, receiver, key, state)
        if several:
            values_ = values(reader, given, state)
            results = [
                given_back(reader, each, values_, state, node, this=receiver) for each in several
            ]
            return join(*results)
        found = members.item(reader, receiver, key, state, callee)
        return call(reader, found, values(reader, given, state), receiver, state, node)
    function = reader.evaluate(callee, state)
    values_ = arguments(reader, given, state)
    if function == External("await"):
        # The grammar takes `await (0, library.read)(...)`, as compilers write it, for a call.
        return values_[-1] if values_ else UNDEFINED
    if function == External("require") and len(values_) == 1:
        return reader.require(values_[0], state, node)
    return call(reader, function, values_, UNDEFINED, state, node)


def arguments(reader: Reader, node: Node, state: State) -> list[Value]:
    """Return what a call is given; of what is spread and not known each may be any."""
    found: list[Value] = []
    for kid in node.kids[:_MAX_ARGUMENTS]:
        if kid.kind == "spread_element":
            value = reader.evaluate(kid.kids[0] if kid.kids else None, state)
            known, each = patterns.elements(reader, value, state, kid)
            found += known if known is not None else [each, each, each]
        else:
            found.append(reader.evaluate(kid, state))
    return found


def _tagged(reader: Reader, tag: Node, given: Node, node: Node, state: State) -> Value:
    """Read a tagged template: what libraries do with its holes is theirs, as parameters."""
    function = reader.evaluate(tag, state)
    holes = [
        reader.evaluate(kid.kids[0] if kid.kids else None, state)
        for kid in given.kids
        if kid.kind == "template_substitution"
    ]
    if isinstance(function, Ref) and function.number in reader.functions:
        texts_: Value = reader.new(Sequence(None, Const("")), state)
        return call(reader, function, [texts_, *holes], UNDEFINED, state, node)
    return reader.tagged(name_of(function, state), given, holes, state, node)


def call_method(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Value:
    """Read `receiver.name(...)`."""
    found = []
    for option in options(receiver):
        result = reader.method(option, name, given, state, node)
        if result is None:
            function = members.get(reader, option, name, state, node)
            result = call(reader, function, given, option, state, node)
        found.append(result)
    return join(*found) if len(found) != 1 else found[0]


def call(
    reader: Reader, function: Value, given: list[Value], this: Value, state: State, node: Node
) -> Value:
    """Read a call of what an expression stands for."""
    found = []
    for option in options(function):
        if isinstance(option, Ref) and option.number in reader.functions:
            found.append(enter(reader, option, given, this, state, node))
        elif isinstance(option, Bound):
            first, *rest = option.arguments or (UNDEFINED,)
            found.append(call(reader, option.function, [*rest, *given], first, state, node))
        elif isinstance(option, Const):
            continue
        else:
            found.append(reader.of_library(option, given, state, node))
    return join(*found) if found else ANYTHING if function != UNDEFINED else UNDEFINED


def enter(
    reader: Reader,
    function: Value,
    given: list[Value],
    this: Value,
    state: State,
    node: Node,
    deciding: tuple[list[State], list[State]] | None = None,
) -> Value:
    """Read the body of a function of the code for a call of it."""
    made = reader.functions[function.number] if isinstance(function, Ref) else None
    if made is None:
        return ANYTHING
    if made.native is not None:
        return made.native(reader, given, state, node)
    body = made.node.get("body") if made.node is not None else None
    if made.node is None or body is None or made.node.kind.startswith("class"):
        return ANYTHING
    if len(reader.stack) >= MAX_CALLS:
        reader.unresolved(node, f"calls inside more than {MAX_CALLS} others are not followed")
        reader.watcher.opened(reader, node, "calls are nested too deeply")
        return Unknown(few(t for each in given for t in state.deep(each)))
    if reader.stack.count(made.node) >= MAX_RECURSION:
        return Unknown(few(t for each in given for t in state.deep(each)))
    state.things.settle()
    scope = reader.new(Scope({}, made.scope), state).number
    frame = Frame(
        made.file,
        scope,
        made.this if made.arrow and made.this is not None else this,
        made.owner,
        exports=_exports(reader, made),
        deciding=deciding,
        catching=reader.frame.catching,
    )
    outer, reader.frame = reader.frame, frame
    reader.stack.append(made.node)
    reader.visited.add(id(made.node))
    try:
        _parameters(reader, made, given, scope, state)
        if body.kind != "statement_block":
            return _short(reader, body, state)
        after = reader.execute(body.kids, state)
        if deciding is not None:
            deciding[1].extend([after] if after is not None else [])
            return ANYTHING
        ends = list(frame.returns)
        if after is not None:
            ends.append((after, UNDEFINED))
        outer.throws += frame.throws
        ended = _ended(ends, state)
        if frame.yields:
            return reader.new(Sequence(None, join(*frame.yields)), state)
        return ended
    finally:
        reader.frame = outer
        reader.stack.pop()


def _short(reader: Reader, body: Node, state: State) -> Value:
    """Read an arrow function that is one expression."""
    deciding = reader.frame.deciding
    if deciding is None:
        return state.baked(reader.evaluate(body, state))
    yes, no = reader.decide(body, state)
    deciding[0].extend([yes] if yes is not None else [])
    deciding[1].extend([no] if no is not None else [])
    return ANYTHING


def _ended(ends: list[tuple[State, Value]], state: State) -> Value:
    """Go on with all ways on which a function ended; with none, it threw."""
    if not ends:
        return NEVER
    both = merged([each for each, _ in ends])
    if both is not None and both is not state:
        state.become(both)
    return join(*(value for _, value in ends))


def _exports(reader: Reader, made: Function) -> Value:
    return reader.modules.get(made.file, UNDEFINED)


def _parameters(
    reader: Reader, made: Function, given: list[Value], scope: int, state: State
) -> None:
    node = made.node
    if node is None:
        return
    if not made.arrow:
        every = reader.new(Sequence(tuple(given[:MAX_ITEMS])), state)
        scopes.declare(scope, "arguments", every, state)
        if node.kind in ("function_expression", "function") and made.name:
            scopes.declare(scope, made.name, UNDEFINED, state)
    single = node.get("parameter")
    listed = node.get("parameters")
    parameters = [single] if single is not None else listed.kids if listed is not None else []
    for number, each in enumerate(parameters):
        inner = each.get("pattern") if each.kind.endswith("_parameter") else each
        if inner is not None and inner.kind == "rest_pattern":
            rest = reader.new(Sequence(tuple(given[number : number + MAX_ITEMS])), state)
            patterns.bind(reader, inner, rest, state, scope)
            return
        value = given[number] if number < len(given) else UNDEFINED
        patterns.bind(reader, each, value, state, scope)
        if "accessibility_modifier" in each.marks and inner is not None and inner.text:
            bound = scopes.find(inner.text, scope, state)  # its default, where nothing is given
            held = bound[1] if bound is not None else value
            members.put(reader, reader.frame.this, Const(inner.text), held, state, each)


# -- objects of classes ----------------------------------------------------------------------------


def new_expression(reader: Reader, node: Node, state: State) -> Value:
    """Read `new`."""
    of = reader.evaluate(node.get("constructor"), state)
    given_node = node.get("arguments")
    given = arguments(reader, given_node, state) if given_node is not None else []
    return make(reader, of, given, state, node)


def make(reader: Reader, of: Value, given: list[Value], state: State, node: Node) -> Value:
    """Return an object of a class or of a function that makes objects."""
    found = []
    for option in options(of):
        if isinstance(option, Ref) and option.number in reader.functions:
            found.append(_object_of(reader, option, given, state, node))
        else:
            found.append(reader.of_library(option, given, state, node, new=True))
    return join(*found) if found else ANYTHING


def _object_of(reader: Reader, of: Ref, given: list[Value], state: State, node: Node) -> Value:
    members.get(reader, of, "prototype", state, node)
    this = reader.new(Mapping({CLASS: of}), state)
    returned = _constructed(reader, of, given, this, state, node, 0)
    return returned if is_object(returned, state) else this


def _constructed(
    reader: Reader, of: Value, given: list[Value], this: Value, state: State, node: Node, depth: int
) -> Value:
    """Run the constructor of a class, or that of its base where it has none."""
    function = reader.functions.get(of.number) if isinstance(of, Ref) else None
    if function is None or not isinstance(of, Ref) or depth > 8:
        return UNDEFINED
    if function.node is None or not function.node.kind.startswith(("class", "abstract_class")):
        return enter(reader, of, given, this, state, node)
    thing = thing_of(of, state)
    base = thing.known.get(CLASS) if isinstance(thing, Mapping) else None
    own = definitions.constructor_of(reader, of, state)
    if own == UNDEFINED and base is not None:
        _constructed(reader, base, given, this, state, node, depth + 1)
    definitions.set_fields(reader, of, this, state)
    if own != UNDEFINED:
        return enter(reader, own, given, this, state, node)
    return UNDEFINED


def _super_call(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    base = _base(reader, state)
    if base is not None:
        _constructed(reader, base, given, reader.frame.this, state, node, 1)
    return UNDEFINED


def _super_method(reader: Reader, name: str, given: list[Value], state: State, node: Node) -> Value:
    base = thing_of(_base(reader, state) or UNDEFINED, state)
    if not isinstance(base, Mapping):
        return ANYTHING
    prototype = base.known.get("prototype", UNDEFINED)
    function = members.get(reader, prototype, name, state, node)
    return call(reader, function, given, reader.frame.this, state, node)


def _base(reader: Reader, state: State) -> Value | None:
    owner = thing_of(Ref(reader.frame.owner), state) if reader.frame.owner else None
    return owner.known.get(CLASS) if isinstance(owner, Mapping) else None


# -- what callers of functions have in common ------------------------------------------------------


def given_back(
    reader: Reader,
    function: Value,
    given: list[Value],
    state: State,
    node: Node,
    this: Value = UNDEFINED,
) -> Value:
    """Call a function that was given to something, which may call it or not."""
    way = state.copy()
    result = call(reader, function, given, this, way, node)
    both = merged([state, way])
    if both is not None:
        state.become(both)
    return result


def is_function(reader: Reader, value: Value) -> bool:
    """Return whether a value is, or may be, a function of the code."""
    return any(
        (isinstance(each, Ref) and each.number in reader.functions) or isinstance(each, Bound)
        for each in options(value)
    )


def joined(reader: Reader, thing: Sequence, separator: str, state: State) -> Value:
    """Return the items of an array as one text."""
    if thing.items is None or thing.rest is not None:
        each = members.item(reader, reader.new(thing, state), ANYTHING, state, Node("", 1, 0))
        taints = few(state.deep(each))
        if not taints:
            return text_of((CLEAN,))
        return text_of((taints, separator, taints))
    parts: list[str | Taints] = []
    for number, each in enumerate(thing.items):
        parts += [separator] if number else []
        if each != UNDEFINED:
            parts += texts.parts_of(as_text(reader, each, state), state)
    return text_of(parts)


def as_text(reader: Reader, value: Value, state: State) -> Value:
    """Return what a value is in a text: an array its items, an object nothing of it."""
    thing = thing_of(value, state)
    if isinstance(thing, Sequence):
        return joined(reader, thing, ",", state)
    if isinstance(thing, Mapping):
        return Const("[object Object]")
    if isinstance(value, Const) and isinstance(value.value, bool):
        return Const("true" if value.value else "false")
    if isinstance(value, Const) and value.value is None:
        return Const("undefined")
    return value


def held_functions(reader: Reader, value: Value, state: State, depth: int = 4) -> list[Value]:
    """Return the functions that an object of a library was made with: what it wraps."""
    thing = thing_of(value, state)
    found: list[Value] = []
    if depth and isinstance(thing, Instance):
        for each in thing.attributes.values():
            for option in options(each):
                if is_function(reader, option):
                    found.append(option)
                else:
                    found += held_functions(reader, option, state, depth - 1)
    elif depth and isinstance(value, Method):
        found += held_functions(reader, value.receiver, state, depth - 1)
    return found
