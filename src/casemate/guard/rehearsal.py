"""What rewritten code does, done before there is a fork: the interpreter specialises it once."""

from __future__ import annotations

from .provenance import Provenance

_REHEARSALS = 64


def rehearse() -> None:
    """Do what rewritten code does, for the interpreter to specialise it before there is a fork."""
    made = Provenance()
    made.begin()
    for number in range(_REHEARSALS):
        text = made.join(0b01, "a ", str(number))
        text = made.add(0b10, text, " b")
        if made.short(text):
            text = made.augment(0b10, text, " c")
        if made.grows(text) and not made.grows(number):
            made.add(0, number, number)
        made.percent("%s and %s", (text, number))
        made.joined(", ".join, [text, text])
        made.call(text.replace, "a", "x")
        made.called(text.upper)
        made.called(text.isalnum)
        made.given(text.ljust, 99)
        made.call(text.split, " ")
        made.call("{} {x}".format, text, x=number)
        made.call(text.isalnum)
        made.cut(text, 1, None, None)
        made.member(text, {text})
        made.found(text, ("a",))
        made.same(text, "a")
        made.differs(text, "a")
    made.end()
