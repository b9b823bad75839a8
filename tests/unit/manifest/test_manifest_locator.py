import time
import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.manifest.locator import MAX_DEPTH, KeyLocator, Position


def paths_of(value, path=()):
    """Every path in parsed data."""
    if path:
        yield path
    items = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from paths_of(item, (*path, key))


def assert_agrees(text):
    """Every path that tomllib sees has a place of its own, and names stand where it says."""
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    locator = KeyLocator(text)
    if locator.too_deep is not None:
        return True
    lines = text.split("\n")
    seen = set()
    for path in paths_of(data):
        seen.add(path)
        assert path in locator._offsets, (path, text)
        line, column = locator.locate(path)
        if isinstance(path[-1], str):
            written = lines[line - 1][column - 1 :]
            assert written.startswith((path[-1] or '"', '"', "'")), (path, text)
    assert seen == set(locator._offsets), text
    return True


TRICKY = r'''# comment with [brackets] = and "quotes"
top.dotted . "quoted key"."es\u0063aped" = 1
'literal "key"' = """
[not.a.table]
also = "not"
quote \""" and "" two quotes at the end"""""
literal = """one""" # trailing [x]
m = \'\'\'
[nor.this]
it's''\'\'\'
nested = [ # comment ]
  [1, 2, "]", '}'], # [
  { a = "}", b = { c = [ { d = 1 } ] } },
  """x
  ] """,
]
when = 1979-05-27 07:32:00
empty = []
nothing = {}

[a.b]  # ]
c = 1
[[list]]
x = 1
[[list.inner]]
y = 1
[[list.inner]]
y = 2
[list.inner.table]
z.w = 3
[[list]]
x = 2
[[list.inner]]
y = 3
[a]
late = true
'''.replace(r"\'\'\'", "'''")


def test_a_tricky_text_agrees_with_the_parser():
    assert assert_agrees(TRICKY)
    locator = KeyLocator(TRICKY)
    lines = TRICKY.split("\n")

    def line_of(*path):
        return lines[locator.locate(path).line - 1]

    assert line_of("a") == "[a]"
    assert line_of("a", "b") == "[a.b]  # ]"
    assert line_of("top", "dotted", "quoted key", "escaped").startswith("top.dotted")
    assert line_of("nested", 1, "b", "c", 0, "d").lstrip().startswith('{ a = "}"')
    assert lines[locator.locate(("list", 1, "inner", 0, "y")).line - 1] == "y = 3"
    assert line_of("list", 0, "inner", 1, "table", "z", "w") == "z.w = 3"


def test_columns_count_characters():
    locator = KeyLocator("[é.b]\n")
    assert KeyLocator('"ü" = {a = 1,\tb = 2}').locate(("ü", "b")) == Position(1, 15)
    assert locator.locate(("b",)) == Position(1, 1)


def test_a_missing_key_falls_back_to_the_table_around_it():
    locator = KeyLocator("[x]\n[function.f]\nhandler = 1\n[function.f.limits]\n")
    assert locator.locate(("function", "f", "python")).line == 2
    assert locator.locate(("function", "f", "limits", "cpu")).line == 4
    assert locator.locate(("function", "g")).line == 2
    assert locator.locate(("nowhere", 3, "x")) == Position(1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 100_000,
        "a" + ".a" * 100_000 + " = 1",
        "[a" + ".a" * 100_000 + "]",
        '"""' * 100_000,
        "a = '''" + "''" * 100_000,
        'a = "' + "\\" * 100_001,
        'a = """' + '\\"' * 100_000,
        "a = [" + "#\n" * 100_000,
        "a = [" + "{}," * 100_000,
        '"' * 100_001,
        "\n" * 300_000,
        "a=\n" * 100_000,
        "[[a]]\n" * 50_000,
    ],
    ids=range(15),
)
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    KeyLocator(text).locate(("a", 0))
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 40, "x = 1\na" + ".a" * 40 + " = 1", "[a" + ".b" * 16]
)
def test_what_is_too_deep_is_told(text):
    place = KeyLocator(text).too_deep
    assert place is not None
    assert place.line == text.count("\n") + 1


def test_the_deepest_allowed_is_not_too_deep():
    text = ".".join(f"k{i}" for i in range(MAX_DEPTH)) + " = 1"
    assert KeyLocator(text).too_deep is None
    assert assert_agrees(text)


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text):
    KeyLocator(text).locate(("a", 0, "b"))


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "c-d",
        '"q k"',
        "'l.k'",
        '"\\u0061"',
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        ".",
        "=",
        " = ",
        "\n",
        "\n",
        " ",
        "#c]\n",
        "1",
        "1.5",
        '"s]"',
        "'s}'",
        '"""m\n[x]"""',
        "'''m\n'''",
        '"\\""',
        "true",
        "1979-05-27 07:32:00",
        "[a]\n",
        "[[b]]\n",
        "[b.x]\n",
        "a = [{b = 1}]\n",
        "c = {a.b = 1}\n",
        "[[a.b]]\n",
        "a = 1\n",
        "b = [\n1,\n2]\n",
        '"""q""""',
        "\\",
        "\r\n",
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=1500, deadline=None)
@example("a = {}\n[b]\n[[a]]")
@example("[[b]]\na = [{b = 1}]\n[b.x]\n")
@example('a = """q"""""\n[a.b]')
def test_toml_like_texts_agree_with_the_parser(text):
    assert_agrees(text)


KEY = st.text("ab_-é. \"'#=[]\\\t", max_size=4)


def quoted(key):
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'


def written(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[ # ]\n" + ",\n".join(written(v) for v in value) + "\n]"
    if isinstance(value, str):
        return quoted(value)
    return str(value)


VALUE = st.recursive(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEY, st.dictionaries(KEY, VALUE, max_size=4), max_size=4))
@settings(max_examples=200, deadline=None)
def test_generated_documents_agree_with_the_parser(data):
    text = "".join(
        f"[{quoted(name)}]\n" + "".join(f"{quoted(k)}\t= {written(v)}\n" for k, v in table.items())
        for name, table in data.items()
    )
    assert assert_agrees(text), text
