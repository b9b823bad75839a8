"""What invocations leave behind, kept in one encrypted database beside the journal.

What it is: the tables (`schema`), what goes into them and comes out (`rows`, `denials`, `search`),
how much of it is kept (`shares`, `retention`), the open database (`database`), what was in the
store before (`taking_over`), and the gateway's end (`client`, `interface`). What it is not: the
journal, or the connection over which all of it travels (`casemate.recorder`).
"""
