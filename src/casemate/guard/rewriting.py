"""Rewrites a module's syntax tree so that it tells how its texts are made (`provenance.py`).

    f"a {x} b"            __casemate_join__(0b101, "a ", f"{x}", " b")
    "a " + x              __casemate_add__(0b01, "a ", x)
    text += "b"           if __casemate_short__(text):
                              text = __casemate_augment__(0b10, text, "b")
                          else:
                              text += "b"    # grows in place: a copy each time would not scale
    self.text += x        the same with __casemate_grows__, which is true of texts alone
    "a %s" % x            __casemate_percent__("a %s", x)
    ", ".join(xs)         __casemate_joined_by__(", ", xs)
    comma.join(xs)        __casemate_joined__(comma.join, xs)
    x.replace(a, b)       __casemate_replaced__(x.replace, a, b)
    x.center(9, "-")      __casemate_call__(x.center, 9, "-")
    x.encode()            __casemate_called__(x.encode)
    x.strip(a)            __casemate_given__(x.strip, a)
    x.split(), m.groups() __casemate_words__(x), __casemate_groups__(m)
    x.split(",")          __casemate_split__(x, ",")
    x.partition(",")      __casemate_partition__(x, ",")
    x.split("&")          __casemate_split_parameters__(x, "&")
    x.split(",")[0]       __casemate_split__(x, ",", 0)[0]
    m.group(1), m[1]      __casemate_group__(m, 1), __casemate_item__(m, 1)
    LINE.match(x)         __casemate_matched_by__("match", LINE.match, x)
    re.match("a", x)      __casemate_matched_with__("match", re.match, "a", x)
    x[1:]                 __casemate_cut__(x, 1, None, None)
    x[a:][:9]             __casemate_cut_again__(x, a, None, None, 9)
    x in allowed          __casemate_member__(x, allowed)
    x in ("a", "b")       x in ("a", "b") and __casemate_found__(x, ("a", "b"))
    db.execute("a", (x,)) the same, as a statement or where `fetchone` and the like are called of it
    x == "name"           __casemate_same__(x, "name")
    x == NAME             __casemate_same__(x, NAME, 1)
    match x: case "name"  match __casemate_matched__(x, ("name",)): case "name"
    tree.xpath(x)         __casemate_watched__("xpath", tree.xpath, x)
    x.split("\\n\\n")       __casemate_watched__("split() at an empty line", x.split, "\\n\\n")
    f"Host: {x}\\r\\n"       __casemate_seen__("head that is put together", f"Host: {x}\\r\\n")
    file.write(x)         __casemate_wrote__(file.write, x)
    put = file.write      put = __casemate_bound__(file.write)
    eval(x)               eval(__casemate_seen__("eval()", x))
    eval(x, names)        eval(*__casemate_seen__("eval() with what ...", (x, names)))
    globals()[x]          globals()[__casemate_seen__("globals", x)]
    getattr(o, x)         __casemate_watched__("getattr", getattr, o, x)
    o.__dict__[x] = v     o.__dict__[__casemate_seen__("attribute that is set", x, o.__dict__)] = v
    len(x.split())        the same: nobody sees what is made
    chr(x), map(chr, x)   __casemate_numbered__(chr)(x), map(__casemate_numbered__(chr), x)
    repr(x), f"a {x!r}"   __casemate_showing__(repr)(x), f"a {__casemate_shown__(x)}"
    t.format(x)           __casemate_watched__("format", t.format, x)
    jira.ask(f"a = '{x}'") __casemate_told__(jira.ask)(f"a = '{x}'")
    {"tenant": t, **x}    {**__casemate_merged__({"tenant": t}, x, ("tenant",))}
    f() | x               __casemate_united__(f(), x, ())
    except E as e: ...    except E as e: __casemate_caught__(); ...
    finally: return x     finally: __casemate_caught__(); return x

In a function, what is done most stands there instead: `inlining.py` has the making of texts,
`methods.py` questions to a text, trims, slices and comparisons, `in_batches.py` lists of lines.

The names are built-in while a function runs. Order and number of evaluations stay as they are,
and so do lines. `a + b` of two unknowns is followed as well, for a helper's `left + value + right`
is where statements are put together; what looks like a number is not, which would cost.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
from types import CodeType

from .asking import asks_by_text, may_ask
from .bound_methods import announced, handed_over
from .comparisons import Comparisons
from .evaluated import form_of_eval
from .fields_set import fields_of, names_of_fields
from .heads import names_of_heads, puts_head
from .in_batches import appended, appended_to, batched, joined_name, noting, with_notes
from .inlining import PREFIX, SUFFIX, chain_of, chained, joined, made, turned
from .looks import (
    begins_with_sign,
    bound_names,
    cuts_at,
    executed_statement,
    form_of,
    is_call_of,
    is_field,
    is_given_expression,
    is_literal,
    is_named_as_text,
    is_namespace,
    is_number,
    is_of_table,
    is_pattern,
    is_text,
    loaded,
    match_names,
    may_tell,
    number_names,
    part_taken,
    reads_again,
    reads_in_memory,
    renamed_functions,
    separators_of_levels,
    splits_head,
    text_names,
)
from .merging import Merging, may_replace, united, unites, written_in
from .methods import (
    ASKING,
    TRIMMING,
    are_texts,
    asked_in_place,
    by_itself,
    cut_in_place,
    is_pure,
    match_form,
    names_for,
    replaces_by_shorter,
    sets_no_name,
    trimmed_in_place,
)
from .names import (
    CALLED,
    FETCHING,
    FUNCTIONS,
    MEASURING,
    OF_NUMBERS,
    READS_ANSWER,
    READS_HEAD,
    SEEN,
    SETS,
    SHOWING,
    UNSEEN,
    WATCHED,
    WRITES,
)

_AS_REPR, _AS_IS = ord("r"), -1
"""How a value of an f-string is converted."""
_ENDING = (ast.Return, ast.Break, ast.Continue)
"""In a `finally`, what ends the exception that is on its way."""


class Rewriter(Comparisons, Merging, ast.NodeTransformer):
    """Rewrites one module."""

    def __init__(self, module: ast.Module, *, names: bool = True) -> None:
        """Take what is known of the module's names; `names` says whether functions get others."""
        super().__init__(names=names)
        self._names = text_names(module.body)
        self._numbers = number_names(module.body)
        self._bound = bound_names(module)
        self._renamed = renamed_functions(module)
        self._heads = names_of_heads(module)
        self._matches = match_names(module)
        self._replaces = may_replace(module)
        self._asks = asks_by_text(module)
        self._fields = names_of_fields(module)
        levels = separators_of_levels(module)
        self._levels = levels | frozenset("+#*>" if levels else "")
        self._taken: dict[int, int] = {}
        """By the identity of a call that splits a text, the one part of it that is taken."""
        self._fetched: set[int] = set()
        """Calls of `execute` with a literal whose result nobody takes for a text."""
        self._cut_again: ast.Subscript | None = None
        """A slice of which another is taken: both are done by one call."""

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        """Do `{x!r}` of an f-string as `{repr(x)}`."""
        node = super().visit_FormattedValue(node)
        if node.conversion == _AS_REPR and node.format_spec is None:
            node.value, node.conversion = self._call(node.value, "shown", node.value), _AS_IS
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Do an f-string of at least two parts."""
        made = sum(not isinstance(value, ast.Constant) for value in node.values)
        with self._spare(1 + made if len(node.values) > 1 else 0) as names:
            values = [self.visit(value) for value in node.values]
            if names:
                return joined(node, values, names)
        if len(values) < 2:
            node.values = values
            return node
        mask = 0
        parts: list[ast.expr] = []
        for number, value in enumerate(values):
            if isinstance(value, ast.Constant):
                mask |= 1 << number
                parts.append(value)
            else:
                parts.append(ast.copy_location(ast.JoinedStr([value]), value))
        constant = ast.copy_location(ast.Constant(mask), node)
        return self._call(node, "join", constant, *parts)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Do `+` and `%` where one side looks like a text."""
        text_left = is_text(node.left, self._names)
        text_right = is_text(node.right, self._names)
        literals = (is_literal(node.left), is_literal(node.right))
        tuple_right = isinstance(node.right, (ast.Tuple, ast.Dict))
        constant_left = isinstance(node.left, ast.Name) and node.left.id.isupper()
        constant_left = constant_left or is_named_as_text(node.left)
        held = is_field(node.left) and isinstance(node.right, (ast.Name, ast.Call, ast.Attribute))
        number = is_number(node.left, self._numbers) or is_number(node.right, self._numbers)
        listed = is_of_table(node.left) and not number
        sign = begins_with_sign(node.left)
        wrote = written_in(node.left)
        self.generic_visit(node)
        if unites(node):
            return united(node, wrote)
        text = text_left or text_right or not number
        # Two literals are one to the compiler, and have no value of an event.
        if isinstance(node.op, ast.Add) and text and not all(literals):
            bits = literals[0] | literals[1] << 1 | sign << 2
            mask = ast.copy_location(ast.Constant(bits), node)
            return self._call(node, "add", mask, node.left, node.right)
        fills = text_left or tuple_right or constant_left or held or listed
        if isinstance(node.op, ast.Mod) and fills:
            return self._call(node, "percent", node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """Do `+=` of a text where the target can be evaluated twice."""
        target = node.target
        known = isinstance(target, ast.Name) and target.id in self._names
        text = is_text(node.value, self._names) or known
        literal = is_literal(node.value)
        number = is_number(node.value, self._numbers) or is_number(target, self._numbers)
        node.value = self.visit(node.value)
        # `x().text += v` would call `x` twice.
        load = loaded(target)
        fields = fields_of(target, self._fields) if isinstance(node.op, ast.BitOr) else None
        if fields is not None:
            node.value = self._seen(node.value, SETS, fields)
        if load is None or not isinstance(node.op, ast.Add) or (number and not text):
            return node
        mask = ast.copy_location(ast.Constant(literal << 1), node)
        value = self._call(node, "augment", mask, load, node.value)
        noted = ast.copy_location(ast.Assign([target], value), node)
        return self._if_short(load, noted, node, "short" if text else "grows")

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        """Do `lines.append(f"...")` where only the function has `lines`."""
        self._fetched.add(executed_statement(node.value))
        text = appended(node) if self._room and appended_to(node) in self._room.batches else None
        if self._room is None or text is None or puts_head(text, self._heads):
            self.generic_visit(node)
            return node
        made_of = sum(not isinstance(value, ast.Constant) for value in text.values)
        with self._spare(1 + made_of) as names:
            values = [self.visit(value) for value in text.values]
            if names is None:
                text.values = values
                return node
            whole, note, _ = made(text, values, names)
            return noting(node, whole, note, self._room.batches[appended_to(node)])

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        """Do `text = text + more` as `text += more`: the interpreter grows both in place."""
        target = node.targets[0]
        notes = self._room.batches.get(getattr(target, "id", "")) if self._room else None
        if notes is not None:
            self.generic_visit(node)
            return with_notes(node, notes)
        grown = node.value
        while isinstance(grown, ast.BinOp) and isinstance(grown.op, ast.Add):
            grown = grown.left
        if (
            len(node.targets) == 1
            and isinstance(target, ast.Name)
            and isinstance(grown, ast.Name)
            and grown is not node.value
            and grown.id == target.id
            and self._is_noted(node.value)
        ):
            # The way without notes is the code's own, untouched: only that can grow in place.
            plain = copy.deepcopy(node)
            self.generic_visit(node)
            return self._if_short(
                ast.copy_location(ast.Name(target.id, ast.Load()), node), node, plain
            )
        if isinstance(target, ast.Name) and self._room and target.id in self._room.formatted:
            whole, methods = chain_of(node.value)
            if methods and len(node.targets) == 1:
                node.value = chained(node.value, self.visit(whole), methods)
                return node
        self.generic_visit(node)
        return node

    def _is_noted(self, node: ast.expr) -> bool:
        """Tell whether a sum has a part that `visit_BinOp` notes: most that grow are numbers."""
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = (node.left, node.right)
            if any(is_text(side, self._names) for side in sides):
                return True
            if not any(is_number(side, self._numbers) for side in sides):
                return True
            node = node.left
        return False

    def _if_short(
        self, text: ast.expr, noted: ast.stmt, plain: ast.stmt, test_name: str = "short"
    ) -> ast.stmt:
        test = self._call(noted, test_name, text)
        return ast.copy_location(ast.If(test, [noted], [plain]), noted)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Do calls by name of what makes texts of texts, or checks one."""
        self._callees.add(id(node.func))
        if not self._measures(node):
            return self._visit_call(node)
        node.args = [self._unseen(node.args[0])]
        return node

    def _visit_call(self, node: ast.Call) -> ast.expr:
        notes = self._room.batches.get(joined_name(node)) if self._room else None
        if notes is not None:
            return batched(node, notes)
        whole, methods = chain_of(node)
        with self._spare(2 if methods else 0) as names:
            if names:
                return turned(node, self.visit(whole), methods, names)
        if isinstance(node.func, ast.Attribute) and node.func.attr in FETCHING:
            self._fetched.add(executed_statement(node.func.value))
        again = reads_again(node)  # by its look, which is another afterwards
        done = handed_over(node)
        self.generic_visit(node)
        node.args = [self._passed_on(argument) for argument in node.args]
        name = ""
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
        elif isinstance(node.func, ast.Name) and (
            (known := self._renamed.get(node.func.id, node.func.id)) in FUNCTIONS
        ):
            name = known
        elif isinstance(node.func, ast.Name) and not reads_in_memory(node):
            called = node.func.id
            return done(self._told(self._builtin(node, called), called))
        return done(self._named_call(node, name, again))

    def _passed_on(self, node: ast.expr) -> ast.expr:
        """Have functions noted that are arguments: `map(chr, numbers)`, `map(repr, texts)`."""
        named = node.id if isinstance(node, ast.Name) else ""
        form = {"chr": "numbered", SHOWING: "showing"}.get(named, "")
        return self._call(node, form, node) if form else node

    def _named_call(self, node: ast.Call, name: str, again: str) -> ast.expr:
        """Do a call by a name that is noted or announced, if it is one."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        # A template that is no literal may be the event's, which reads attributes by it.
        if name in ("format", "format_map") and not isinstance(owner, (ast.Constant, type(None))):
            return self._watched(node, "format")
        if name == "get" and owner is not None and node.args and is_namespace(owner):
            node.args[0] = self._seen(node.args[0], "globals")
        read = cuts_at(node)
        if read == "&" or read in self._levels:
            self._seen_cut(node, "parameters" if read == "&" else "levels")
        if splits_head(node):
            node.args[1] = self._seen(node.args[1], READS_HEAD)
        if reads_in_memory(node):
            node.args[0] = self._seen(node.args[0], READS_ANSWER)
        # `text.find(": ")`: what the code has written chooses nothing.
        written = name == "find" and not node.keywords and all(map(is_literal, node.args))
        written = written or (name == "execute" and id(node) in self._fetched)
        watched = (name in WATCHED and not written) or (name == "split" and is_pattern(owner))
        watched = watched or is_given_expression(node, name)
        told = again or (name if watched else "")
        if told:
            form = match_form(node, told)
            if form and not (form == "asked" and self._replaces):
                return self._call(node, form, self._name(node, name), node.func, *node.args)
            return self._watched(node, told)
        writes = name in WRITES and owner is not None
        if name != "join" and name not in CALLED and not writes:
            return self._told(node, name if owner is not None else "")
        return self._noted_call(node, name, writes=writes)

    def _told(self, node: ast.Call, name: str) -> ast.Call:
        """Announce a call of something of the code's own that may be given a query by it."""
        if self._asks and may_ask(node, name):
            node.func = self._call(node, "told", node.func)
        return node

    def _seen_cut(self, node: ast.Call, name: str) -> None:
        if isinstance(node.func, ast.Attribute):
            node.func.value = self._call(node, name, node.func.value)

    def _noted_call(self, node: ast.Call, name: str, *, writes: bool) -> ast.expr:
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        form = "joined" if name == "join" else "wrote" if writes else form_of(node, name)
        if owner is not None and form in ("called", "given", "joined", "replaced"):
            in_place = self._in_place(node, owner, name)
            if in_place is not None:
                return in_place
        call = self._call(node, form, node.func, *node.args)
        call.keywords = node.keywords
        return call

    def _in_place(self, node: ast.Call, owner: ast.expr, name: str) -> ast.expr | None:
        """Do a method of a text where it stands; None if it is none of those that can be."""
        alone = by_itself(node, owner, name)
        if alone:
            if alone != "split":
                return self._call(node, alone, owner, *node.args)
            return self._split(node, owner)
        asks = name in ASKING and all(map(is_pure, node.args))
        trims = name in TRIMMING and are_texts(node.args)
        trims = trims or replaces_by_shorter(node, name)
        if not (asks or trims):
            return None
        count = names_for(owner) + trims
        with self._spare(count) as names:
            if names is None and count:
                return None
            do = trimmed_in_place if trims else asked_in_place
            return do(node, owner, name, names or ())

    def _split(self, node: ast.Call, owner: ast.expr) -> ast.Call:
        form = "split"
        for told in ("levels", "parameters"):
            if isinstance(owner, ast.Call) and is_call_of(owner, f"{PREFIX}{told}{SUFFIX}"):
                form, owner = f"split_{told}", owner.args[0]
                break
        call = self._call(node, form, owner, *node.args)
        if id(node) in self._taken:
            call.args.append(ast.copy_location(ast.Constant(self._taken[id(node)]), node))
        return call

    def _measures(self, node: ast.Call) -> bool:
        """Tell whether a call is one like `len(text.split())`: nobody else sees what is made."""
        return (
            isinstance(node.func, ast.Name)
            and node.func.id in MEASURING - self._bound
            and len(node.args) == 1
            and not node.keywords
        )

    def _unseen(self, node: ast.expr) -> ast.expr:
        """Do what only the expression around it sees: what methods make there needs no note."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return self._visited(node)
        owner, name = node.func.value, node.func.attr
        if name not in UNSEEN or (name == "split" and is_pattern(owner)):
            return self._visited(node)
        node.func.value = self._unseen(owner)
        node.args = [self._visited(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Do `not text.strip()`: whether a text is empty is all that is seen of it."""
        if isinstance(node.op, ast.Not):
            node.operand = self._unseen(node.operand)
        else:
            self.generic_visit(node)
        return node

    def _visited(self, node: ast.expr) -> ast.expr:
        visited: ast.expr = self.visit(node)
        return visited

    def _builtin(self, node: ast.Call, name: str) -> ast.Call:
        """Announce calls of what runs a text, or finds an attribute by it."""
        plain = bool(node.args) and not any(isinstance(a, ast.Starred) for a in node.args)
        if name in SEEN and plain and not isinstance(node.args[0], ast.Constant):
            form = form_of_eval(node) if name == "eval" else ""
            if form:
                whole = ast.copy_location(ast.Tuple(node.args, ast.Load()), node)
                told = self._seen(whole, form)
                node.args = [ast.copy_location(ast.Starred(told, ast.Load()), node)]
            else:
                node.args[0] = self._seen(node.args[0], f"{name}()")
        elif name == "getattr" and plain and len(node.args) > 1:
            if not isinstance(node.args[1], ast.Constant):
                return self._watched(node, name)
            return announced(node) if node.args[1].value in WRITES else node
        elif name in OF_NUMBERS and plain and not isinstance(node.args[0], ast.Constant):
            node.func = self._call(node.func, "numbered", node.func)
        elif name == SHOWING and plain:
            node.func = self._call(node.func, "showing", node.func)
        elif name in WATCHED:
            return self._watched(node, name)
        return node

    def _seen(self, node: ast.expr, name: str, *more: ast.expr) -> ast.Call:
        named = ast.copy_location(ast.Constant(name), node)
        return self._call(node, "seen", named, node, *more)

    def _name(self, node: ast.AST, name: str) -> ast.Constant:
        return ast.copy_location(ast.Constant(name), node)

    def _watched(self, node: ast.Call, name: str) -> ast.Call:
        call = self._call(node, "watched", self._name(node, name), node.func, *node.args)
        call.keywords = node.keywords
        return call

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Do slices that are read."""
        again = node is self._cut_again
        value, parts = node.value, (node.slice, getattr(node.value, "slice", None))
        if (part := part_taken(node)) is not None:
            self._taken[id(value)] = part
        if isinstance(value, ast.Subscript) and all(isinstance(one, ast.Slice) for one in parts):
            self._cut_again = value
        self.generic_visit(node)
        cut = node.slice
        if self._names_field(node) or (
            is_namespace(node.value) and not isinstance(cut, (ast.Slice, ast.Constant))
        ):
            if node.slice is cut:
                node.slice = self._seen(cut, "globals")
            return node
        named = isinstance(node.value, ast.Name) and node.value.id in self._matches
        if named and isinstance(cut, ast.Constant) and isinstance(node.ctx, ast.Load):
            return self._call(node, "item", node.value, cut)
        if not (isinstance(cut, ast.Slice) and isinstance(node.ctx, ast.Load)):
            return node
        none = ast.copy_location(ast.Constant(None), node)
        inner = node.value
        is_cut = isinstance(inner, ast.Call) and is_call_of(inner, f"{PREFIX}cut{SUFFIX}")
        if is_cut and isinstance(inner, ast.Call) and cut.step is None:
            first, last, step = cut.lower or none, cut.upper or none, inner.args[3]
            # What has an effect must not be evaluated before the first cut is made.
            fixed = isinstance(first, ast.Constant) and isinstance(last, ast.Constant)
            if fixed and isinstance(step, ast.Constant) and step.value is None:
                return self._call(node, "cut_again", *inner.args[:3], first, last)
        if cut.step is None and not again and sets_no_name(cut.lower, cut.upper):
            with self._spare(1 + names_for(node.value)) as names:
                if names:
                    return cut_in_place(node, cut.lower or none, cut.upper or none, names)
        return self._call(
            node, "cut", node.value, cut.lower or none, cut.upper or none, cut.step or none
        )

    def _names_field(self, node: ast.Subscript) -> bool:
        """Announce a name by which an attribute is set; tell whether it is one."""
        fields = fields_of(node.value, self._fields) if isinstance(node.ctx, ast.Store) else None
        if fields is None or isinstance(node.slice, (ast.Slice, ast.Constant)):
            return False
        node.slice = self._seen(node.slice, SETS, fields)
        return True

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        """Note what is caught by a name that may make a text of it: no answer is to tell of it.

        Else it is reached by asking for it alone, and is noted then (`leaks/hooks.py`).
        """
        told = may_tell(node)
        self.generic_visit(node)
        if told:
            node.body.insert(0, self._noting_caught(node))
        return node

    def _visit_try(self, node: ast.Try | ast.TryStar) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(each, _ENDING) for part in node.finalbody for each in ast.walk(part)):
            node.finalbody.insert(0, self._noting_caught(node))  # it may end the exception
        return node

    visit_Try = _visit_try  # noqa: N815
    visit_TryStar = _visit_try  # noqa: N815

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        visited = super()._visit_function(node)
        if node.name in ("__exit__", "__aexit__"):
            has_text = ast.get_docstring(node, clean=False) is not None
            node.body.insert(int(has_text), self._noting_caught(node))
        return visited

    visit_FunctionDef = _visit_function  # noqa: N815
    visit_AsyncFunctionDef = _visit_function  # noqa: N815

    def _noting_caught(self, node: ast.AST) -> ast.Expr:
        return ast.copy_location(ast.Expr(self._call(node, "caught")), node)


def rewrite(module: ast.Module, *, names: bool = True) -> ast.Module:
    """Return a module's tree, rewritten in place. RecursionError if it is nested too deeply.

    Without `names`, functions get no further local names, and all is done by calls.
    """
    Rewriter(module, names=names).visit(module)
    return module


def compile_rewritten(source: bytes, path: str) -> CodeType | None:
    """Return a module's rewritten code; None if it cannot be rewritten, or is not valid Python."""
    for names in (True, False):  # in which places names can be set is for the compiler to say
        try:
            tree = rewrite(ast.parse(importlib.util.decode_source(source), path), names=names)
            code: CodeType = compile(tree, path, "exec", dont_inherit=True)
        except (SyntaxError, RecursionError, MemoryError, UnicodeDecodeError, ValueError):
            continue
        return code
    return None
