"""What is done that rules of detection must find: by an owner, by a caller without rights, by code
that runs, and by nobody. Each is done once in a run, whichever rules are looked for after it.
"""
