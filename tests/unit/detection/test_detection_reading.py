"""What a rule, a correlation and a filter must have, and what is refused by name and place."""

from __future__ import annotations

import re

import pytest

from casemate.detection import Level, RuleError, over, rules_of
from casemate.model.errors import NotFoundError

RULE = """
title: A rule
id: 0f0f0f0f-0000-4000-8000-000000000001
name: base
description: It says what it finds.
level: high
status: stable
author: somebody
date: 2026-01-31
references: [https://example.com]
tags: [attack.t1110.003, attack.credential-access, cve.2026-1]
falsepositives: [none]
logsource: {product: casemate, definition: the journal}
detection:
  s: {kind: attack}
  condition: s
fields: [who]
"""
CORRELATION = """
title: Many
name: many
level: low
correlation:
  type: event_count
  rules: [base]
  group-by: [who]
  timespan: 5m
  condition: {gt: 2}
"""
FILTER = """
title: Not those
name: known
logsource: {product: casemate}
filter:
  rules: [base]
  s: {who: known}
  condition: not s
"""


def test_a_rule_says_what_it_is() -> None:
    [about] = rules_of((RULE, "own.yml")).reporting()
    assert (about.id, about.name) == ("0f0f0f0f-0000-4000-8000-000000000001", "base")
    assert about.level is Level.HIGH
    assert about.techniques == ("T1110.003",)
    assert about.falsepositives == ("none",)
    assert about.place == "own.yml:2"


def test_what_is_no_rule_says_what_to_do() -> None:
    with pytest.raises(RuleError) as caught:
        rules_of(("title: [", "own.yml"))
    assert "docs/reference/detection.md" in str(caught.value.next_step)


def test_a_rule_is_found_by_name_and_by_id() -> None:
    rules = rules_of((RULE, "own.yml"))
    assert rules.named("base") is rules.named("0f0f0f0f-0000-4000-8000-000000000001")
    with pytest.raises(NotFoundError, match="no rule 'other'"):
        rules.named("other")


def test_a_part_of_a_correlation_is_not_told_of_unless_it_says_so() -> None:
    events = [{"kind": "attack", "who": "a", "time": n} for n in range(3)]
    silent = rules_of((f"{RULE}---{CORRELATION}", "own.yml"))
    assert [one.rule for one in over(events, silent)] == ["many"]
    with pytest.raises(NotFoundError, match="a part of correlations"):
        silent.only("base")
    both = CORRELATION.replace("{gt: 2}", "{gt: 2}\n  generate: true")
    told = rules_of((f"{RULE}---{both}", "own.yml"))
    assert [one.rule for one in over(events, told)] == ["base", "many"]


def test_a_filter_leaves_out_what_it_names() -> None:
    events = [{"kind": "attack", "who": who} for who in ("known", "other")]
    for named in ("[base]", "any"):
        text = FILTER.replace("[base]", named)
        found = over(events, rules_of((RULE, "shipped.yml"), (text, "own.yml")))
        assert [one.entity for one in found] == ["who=other"]


def test_a_filter_stays_when_one_rule_is_taken_alone() -> None:
    rules = rules_of((RULE, "shipped.yml"), (FILTER, "own.yml")).only("base")
    assert over([{"kind": "attack", "who": "known"}], rules) == []


@pytest.mark.parametrize(
    ("text", "before", "after", "told"),
    [
        (RULE, "product: casemate", "product: windows", "own.yml:13 logsource: the product"),
        (RULE, "definition: the", "category: the", "category: this is not read here"),
        (RULE, "level: high", "level: awful", "own.yml:6 level: the level is one of"),
        (RULE, "level: high\n", "", "needs a `level`"),
        (RULE, "name: base", "name: a b", "a rule needs an `id`"),
        (RULE, "title: A rule", "title: ''", "own.yml:2 title: a text is expected"),
        (RULE, "title: A rule", "title: [1]", "a text is expected"),
        (RULE, "tags: [", "tags: [1, ", "texts are expected"),
        (RULE, "fields:", "colour:", "own.yml:17 colour: this is not read here"),
        (RULE, "  condition: s", "  other: {a: 1}", "condition: a text is expected"),
        (RULE, "  condition: s", "  condition: [s]", "condition: a text is expected"),
        (RULE, "  s: ", "  them: ", "is not called so"),
        (RULE, "  condition: s", "  condition: s\n  timeframe: 5m", "write a correlation"),
        (RULE, "detection:", "else:", "has none"),
        (RULE, "fields: [who]", "fields: [a b]", "no path of a field"),
        (CORRELATION, "level: low\n", "", "needs a `level`"),
        (CORRELATION, "event_count", "value_sum", "'value_sum' is not matched"),
        (CORRELATION, "event_count", "value_avg", "'value_avg' is not matched here"),
        (CORRELATION, "[base]", "[]", "names its `rules`"),
        (CORRELATION, "[base]", "[other]", "there is no rule 'other'"),
        (CORRELATION, "[base]", "[many]", "in a circle: many"),
        (CORRELATION, "5m", "5w", "a time of at most 7 days"),
        (CORRELATION, "5m", "8d", "a time of at most 7 days"),
        (CORRELATION, "{gt: 2}", "{lt: 2}", "lt: this is not read here"),
        (CORRELATION, "{gt: 2}", "{gt: 2, gte: 2}", "one of `gt` and `gte`"),
        (CORRELATION, "{gt: 2}", "{gt: true}", "one of `gt` and `gte`"),
        (CORRELATION, "{gt: 2}", "{gt: 9000000}", "1 to 1000000 are counted"),
        (CORRELATION, "{gt: 2}", "{gt: 2, field: a}", "field: this is not read here"),
        (CORRELATION, "event_count", "value_count", "field: a text is expected"),
        (CORRELATION, "event_count", "temporal", "has no condition"),
        (
            CORRELATION.replace("  condition: {gt: 2}\n", ""),
            "event_count",
            "temporal_ordered",
            "has 2 rules, one before the other",
        ),
        (CORRELATION, "  group-by", "  aliases: {}\n  group-by", "aliases of fields"),
        (CORRELATION, "  group-by", "  generate: 1\n  group-by", "true or false"),
        (CORRELATION, "name: many", "name: base", "'base' is there already: own.yml:2"),
        (FILTER, "[base]", "[]", "or `any`"),
        (FILTER, "[base]", "[other]", "there is no rule 'other'"),
        (FILTER, "casemate", "linux", "the product is 'linux'"),
    ],
)
def test_what_is_not_read_is_refused(text: str, before: str, after: str, told: str) -> None:
    assert before in text
    changed = text.replace(before, after, 1)
    with pytest.raises(RuleError, match=re.escape(told)):
        rules_of((changed if text is RULE else f"{RULE}---{changed}", "own.yml"))


def test_a_filter_of_a_correlation_is_refused() -> None:
    text = f"{RULE}---{CORRELATION}---{FILTER.replace('[base]', '[many]')}"
    with pytest.raises(RuleError, match="names no correlation"):
        rules_of((text, "own.yml"))


def test_a_circle_of_several_correlations_is_found() -> None:
    texts = [
        CORRELATION.replace("name: many", f"name: c{n}").replace("[base]", f"[c{(n + 1) % 3}]")
        for n in range(3)
    ]
    with pytest.raises(RuleError, match="in a circle: c0, c1, c2"):
        rules_of(("---".join(texts), "own.yml"))
