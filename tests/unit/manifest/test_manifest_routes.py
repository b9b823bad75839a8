import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.routes import (
    MAX_SEGMENTS,
    METHODS,
    TEMPLATE_PATTERN,
    RouteTable,
    parse_template,
)
from casemate.model.route import RESERVED_SEGMENTS


@pytest.mark.parametrize(
    ("template", "shape"),
    [
        ("/", ()),
        ("/users", ("users",)),
        ("/users/{id}", ("users", "{}")),
        ("/{rest...}", ("{...}",)),
        ("/a/{b}/c.d/{e_1}/{f...}", ("a", "{}", "c.d", "{}", "{...}")),
        ("/...", ("...",)),
        ("/a/api", ("a", "api")),
        ("/apis", ("apis",)),
        ("/@me/a:b", ("@me", "a:b")),
        ("/:7/a*/*b", (":7", "a*", "*b")),
    ],
)
def test_templates(template, shape):
    assert parse_template(template) == shape
    assert re.search(TEMPLATE_PATTERN, template)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("", "starts with"),
        ("a", "starts with"),
        ("//", "//"),
        ("/a//b", "//"),
        ("/a/", "its end"),
        ("/..", '".."'),
        ("/a/../b", '".."'),
        ("/./a", '"."'),
        ("/%2e%2e/a", "percent-encoding"),
        ("/a%20b", "percent-encoding"),
        ("/a?b=c", "query"),
        ("/a#b", "fragment"),
        ("/a b", "ASCII"),
        ("/é", "ASCII"),
        ("/a\\b", "ASCII"),
        ("/a\x00", "ASCII"),
        ("/a\n", "ASCII"),
        ("/a{b}", "whole segment"),
        ("/users/:id", "{name}"),
        ("/:id/x", "{name}"),
        ("/files/*", "{rest...}"),
        ("/files/**", "{rest...}"),
        ("/{}", "whole segment"),
        ("/{1a}", "whole segment"),
        ("/{a-b}", "whole segment"),
        ("/{a", "whole segment"),
        ("/a}", "whole segment"),
        ("/{a..}", "whole segment"),
        ("/{a....}", "whole segment"),
        ("/{a}{b}", "whole segment"),
        ("/{{a}}", "whole segment"),
        ("/{é}", "whole segment"),
        ("/{a...}/b", "last"),
        ("/{a}/{a}", "once"),
        ("/{a}/{a...}", "once"),
        ("/" + "a" * 600, "512"),
        ("/a" * (MAX_SEGMENTS + 1), "segments"),
        *((f"/{name}/x", "answers itself") for name in RESERVED_SEGMENTS),
        ("/invoke", "answers itself"),
        ("/API/v1", "answers itself"),
    ],
)
def test_what_is_no_template(template, told):
    with pytest.raises(RejectedValueError) as caught:
        parse_template(template)
    assert told in caught.value.expected
    assert caught.value.found.isprintable()


@given(st.text("/{}.ab%?#é \n", max_size=20))
def test_the_schema_pattern_accepts_what_the_parser_accepts(template):
    try:
        parse_template("/" + template)
    except RejectedValueError:
        return
    assert re.search(TEMPLATE_PATTERN, "/" + template)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("GET", "/a"), ("GET", "/a"), True),
        (("GET", "/a/{x}"), ("GET", "/a/{y}"), True),
        (("GET", "/a/{x...}"), ("GET", "/a/{y...}"), True),
        (("*", "/a"), ("GET", "/a"), True),
        (("GET", "/a"), ("*", "/a"), True),
        (("GET", "/a"), ("POST", "/a"), False),
        (("GET", "/a/{x}"), ("GET", "/a/b"), False),
        (("GET", "/a/{x}"), ("GET", "/a/{x...}"), False),
        (("GET", "/"), ("GET", "/{x...}"), False),
    ],
)
def test_same_routes(first, second, same):
    table = RouteTable()
    assert table.add(*first, "first") is None
    assert table.add(*second, "second") == ("first" if same else None)


TEMPLATES = ("/a", "/{x}", "/{y}", "/{z...}", "/a/{x}", "/a/{y...}")


@given(st.lists(st.tuples(st.sampled_from(METHODS), st.sampled_from(TEMPLATES)), max_size=8))
def test_no_two_accepted_routes_share_shape_and_method(routes):
    table = RouteTable()
    accepted = [route for route in routes if table.add(*route, "owner") is None]
    for index, (method, template) in enumerate(accepted):
        for other_method, other in accepted[:index]:
            if parse_template(template) == parse_template(other):
                assert method != other_method
                assert "*" not in (method, other_method)
