"""F-strings as newer versions of Python write them, for the parser of an older one.

Since 3.12 what stands in the braces may have the quotes of the text around it, backslashes, and
comments. Such an expression is taken out, a name is put in its place, and once all is parsed the
expression takes the place of the name.
"""

from __future__ import annotations

_LETTERS = "rbfuRBFU"
MAX_TAKEN = 5_000
_MAX_NESTING = 8
_PREFIX = "_taken_out_"


class Cut:
    """A source text without the expressions of its f-strings."""

    def __init__(self, text: str) -> None:
        """Take them out of a text. ValueError where it is no Python."""
        self.taken: list[tuple[str, int]] = []
        """Each expression with its line."""
        self._text = text
        out: list[str] = []
        at = 0
        while at < len(text):
            at = self._code(at, out, "", 0)
        self.text = "".join(out)

    def _code(self, at: int, out: list[str], until: str, depth: int) -> int:
        """Copy code up to one of the characters of `until`, outside of texts and brackets."""
        text, nested = self._text, 0
        size = len(text)
        while at < size:
            sign = text[at]
            if until and nested == 0 and sign in until:
                if sign == "!" and text[at + 1 : at + 2] == "=":
                    out.append("!=")
                    at += 2
                    continue
                return at
            if sign == "#":
                end = text.find("\n", at)
                at = size if end < 0 else end
                continue
            if sign in "'\"":
                at = self._string(at, out, depth)
                continue
            if sign in "([{":
                nested += 1
            elif sign in ")]}":
                nested -= 1
            out.append(sign)
            at += 1
        return at

    def _string(self, at: int, out: list[str], depth: int) -> int:
        text = self._text
        start = at
        while start > 0 and at - start < 2 and text[start - 1] in _LETTERS:
            start -= 1
        if start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
            start = at
        prefix = text[start:at].lower()
        quote = text[at : at + 3] if text[at : at + 3] in ("'''", '"""') else text[at]
        out.append(quote)
        at += len(quote)
        formatted, raw = "f" in prefix, "r" in prefix
        while at < len(text):
            if text.startswith(quote, at):
                out.append(quote)
                return at + len(quote)
            sign = text[at]
            if sign == "\\":
                out.append(text[at : at + 2])
                at += 2
                continue
            if formatted and sign in "{}" and text[at + 1 : at + 2] == sign:
                out.append(sign * 2)
                at += 2
                continue
            if formatted and sign == "{":
                at = self._field(at, out, raw=raw, depth=depth)
                continue
            out.append(sign)
            at += 1
        raise ValueError("a text without an end")

    def _field(self, at: int, out: list[str], *, raw: bool, depth: int) -> int:
        if depth >= _MAX_NESTING or len(self.taken) >= MAX_TAKEN:
            raise ValueError("f-strings inside one another too deep")
        text = self._text
        inner: list[str] = []
        line = text.count("\n", 0, at) + 1
        end = self._code(at + 1, inner, "}:!", depth + 1)
        expression = "".join(inner).strip()
        if expression.endswith("=") and not expression.endswith(("==", "!=", "<=", ">=")):
            expression = expression[:-1]
        self.taken.append((expression, line))
        out.append(f"{{{_PREFIX}{len(self.taken) - 1}")
        lines = text.count("\n", at, end)
        if text[end : end + 1] == "!":
            out.append(text[end : end + 2])
            end += 2
        if text[end : end + 1] == ":":
            out.append(":")
            end = self._specification(end + 1, out, raw=raw, depth=depth)
        if text[end : end + 1] != "}":
            raise ValueError("braces without an end")
        out.append("}")
        if lines and not raw:
            out.append("\\\n" * lines)
        return end + 1

    def _specification(self, at: int, out: list[str], *, raw: bool, depth: int) -> int:
        text = self._text
        while at < len(text) and text[at] != "}":
            if text[at] == "{":
                at = self._field(at, out, raw=raw, depth=depth + 1)
                continue
            out.append(text[at])
            at += 1
        return at


def number_of(name: str) -> int | None:
    """Return which expression a name stands for."""
    if not name.startswith(_PREFIX):
        return None
    digits = name[len(_PREFIX) :]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else None
