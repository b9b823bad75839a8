"""What somebody does whom rules of detection must find: as an owner, as a caller without rights, as
code that runs, and as nobody. Each is played once in a run, whichever rules are looked for after it.
"""
