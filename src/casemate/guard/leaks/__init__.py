"""What an answer may not tell of the inside: exceptions of its invocation, paths and source.

    kinds.py      names of what is looked for, as the manifest has them
    raised.py     the exceptions that code of this process caught or formatted
    hooks.py      where exceptions are noted that the function's own code does not catch itself
    shapes.py     what is a trace of the sandbox, or a framework's debug page, by its looks
    texts.py      a body as it reads once escapes are undone
    judgement.py  all of it together: what of an answer belongs to the inside

Standard library only, as all of the guard; `shapes` is the gateway's as well.
"""
