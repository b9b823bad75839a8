"""Second places for checkpoints of the journal: who rewrites the node's files cannot reach them.

What it is: what the settings say of them (`settings`), how one is taken there (`kept_file`, `s3`,
`posting`), and when (`sending`). What it is not: the journal, or the proof against what was sent,
which `casemate journal verify --checkpoint` makes (`casemate.journal`).
"""
