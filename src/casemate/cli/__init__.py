"""The command line: what people and scripts operate Casemate with.

Speaks to a node only through its HTTP interface; `serve`, `dev` and `doctor` hand over to
`supervisor` and `maintenance`. The only package that exits the process. Whatever it imports beside
`model` it imports inside the command that needs it, so that help is shown at once.

Its one public name is `casemate.cli.main.main`. It is not exported here, where it would hide the
module it is in.
"""
