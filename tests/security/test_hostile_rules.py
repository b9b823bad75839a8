"""Rules of somebody who means harm: each gets a named error, or costs as little as any other."""

from __future__ import annotations

import time

import pytest

from casemate.detection import Detector, RuleError, documents, over, overflow, rules_of
from casemate.detection import rules as together

HEAD = "title: t\nname: {name}\nlevel: low\nlogsource: {{product: casemate}}\n"
RULE = HEAD + "detection: {{s: {selection}, condition: {condition}}}\n"
CORRELATION = """
title: t
name: {name}
level: low
correlation: {{type: {type}, rules: [{rules}], timespan: 1h, condition: {{gte: 1}}}}
"""


def rule(selection: str = "{a: x}", condition: str = "s", name: str = "r") -> str:
    return RULE.format(selection=selection, condition=condition, name=name)


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (laughs(9), "anchors"),
        ("a: *b", "aliases"),
        ("a: &a [*a]", "anchors"),
        ("<<: *x\na: b", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "the tag"),
        ("a: !include /etc/passwd", "the tag"),
        ("!!map {a: b}", "the tag"),
        ("a: b\na: c", "twice"),
        ("[" * 100_000, "nesting|a rule is a map"),
        ("a: " + "[" * 100_000, "nesting|nested"),
        ("a: " + "{b: " * 100_000, "nesting|nested"),
        ("{" * 100_000, "nesting|plain text"),
        ("? " * 50_000, "plain text"),
        ("a: '" + "x" * 5000 + "'", "4096 characters"),
        ("x" * 5000 + ": a", "characters|no YAML"),
        ("a: [" + "1," * 200_000 + "]", "100000 values"),
        ("---\na: b\n" * 2000, "1000 documents|has none"),
        ("a: b\n" * (1 << 18), "1048576 bytes"),
        ("", "no rule in it"),
        ("--- \n...\n", "no rule in it"),
        ("a: \x00", "no YAML"),
        ("a: %", "no YAML"),
        ("\t- a", "no YAML"),
        ("- a", "a rule is a map"),
        ("just text", "a rule is a map"),
    ],
)
def test_hostile_yaml_is_refused_soon(text: str, told: str) -> None:
    before = time.process_time()
    with pytest.raises(RuleError, match=told):
        rules_of((text, "own.yml"))
    assert time.process_time() - before < 5.0


def test_yaml_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(RuleError, match="not UTF-8"):
        rules_of((b"a: \xff\xfe", "own.yml"))


def test_documents_values_and_bytes_are_bounded() -> None:
    with pytest.raises(RuleError, match="more than 1000 documents"):
        documents.read_documents("---\na: b\n" * 1001, "own.yml")


@pytest.mark.parametrize(
    "expression",
    [r"(a+)+$", r"(a|a)*b", r"(a*)*b", r"^(([a-z])+.)+[A-Z]([a-z])+$", r".*.*.*.*x", r"a*a*a*a*b"],
)
def test_an_expression_that_other_engines_hang_on_takes_no_time(expression: str) -> None:
    found = rules_of((rule(f"{{a|re: '{expression}'}}"), "own.yml"))
    before = time.process_time()
    for _ in range(20):
        over([{"a": "a" * 4096 + "!"}], found)
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize(
    "expression",
    [r"(a)\1", r"(?=a)a", r"(?<!a)b", r"(?>a)", "a{1000}{1000}", "(a{500}){500}", "[", "x" * 513],
)
def test_an_expression_that_is_not_linear_or_too_large_is_refused(expression: str) -> None:
    with pytest.raises(RuleError, match=r"own\.yml:5 a\|re"):
        rules_of((rule(f"{{a|re: '{expression}'}}"), "own.yml"))


def test_the_number_of_expressions_is_bounded() -> None:
    listed = ", ".join(["'[a-z]{40}'"] * 150)
    with pytest.raises(RuleError, match="more than 200 expressions"):
        rules_of((rule(f"[{{a|re: [{listed}]}}, {{b|re|i: [{listed}]}}]"), "own.yml"))


def test_wildcards_take_linear_time() -> None:
    found = rules_of((rule("{a: '" + "*a" * 1000 + "*b'}"), "own.yml"))
    before = time.process_time()
    for _ in range(100):
        over([{"a": "a" * 4096}], found)
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (rule("{a: [" + ", ".join(map(str, range(1001))) + "]}"), "1 to 1000 values"),
        (rule("{" + ", ".join(f"a{n}: x" for n in range(33)) + "}"), "1 to 32 fields"),
        (rule("[" + ", ".join(["{a: x}"] * 65) + "]"), "64 maps"),
        (rule(condition="not " * 300 + "s"), "1024 characters"),
        (rule(condition="(" * 25 + "s" + ")" * 25), "nested"),
        (rule("{" + ".".join("a" * 9) + ": x}"), "no path"),
        (rule(name="a" * 101), "needs an `id`"),
    ],
)
def test_a_huge_rule_is_refused(text: str, told: str) -> None:
    with pytest.raises(RuleError, match=told):
        rules_of((text, "own.yml"))


def test_the_number_of_rules_is_bounded() -> None:
    many = [(rule(name=f"r{n}"), "own.yml") for n in range(together.MAX_RULES + 1)]
    with pytest.raises(RuleError, match="more than 1000 rules"):
        rules_of(*many)


def test_correlations_that_multiply_are_each_asked_once() -> None:
    """Each layer looks at both of the one before: 2 to the 60th ways lead to the last."""
    texts = [rule(name="c0a"), rule(name="c0b")]
    for n in range(1, 60):
        for side in "ab":
            texts.append(
                CORRELATION.format(
                    name=f"c{n}{side}", type="event_count", rules=f"c{n - 1}a, c{n - 1}b"
                )
            )
    seeing = Detector(rules_of(("---\n".join(texts), "own.yml")))
    before = time.process_time()
    found = seeing.see({"a": "x"}, 0.0)
    assert {one.rule for one in found} == {"c59a", "c59b"}
    assert time.process_time() - before < 1.0


def test_a_flood_of_entities_stays_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "BUCKETS", 64)
    text = CORRELATION.format(name="c", type="event_count", rules="r")
    text = text.replace("{gte: 1}", "{gte: 5}").replace("[r],", "[r], group-by: [who],")
    seeing = Detector(rules_of((f"{rule()}---{text}", "own.yml")))
    for n in range(20_000):
        seeing.see({"a": "x", "who": f"w{n}"}, n / 1000)
    [known] = seeing.remembered().windows.values()
    assert len(known) == 2048
    assert seeing.forgotten == 20_000 - 2048 - 64 * overflow.WAYS
