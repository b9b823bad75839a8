"""The command line: what people and scripts operate Casemate with.

Speaks to a node only through its HTTP interface; `serve`, `dev` and `doctor` hand over to the
wiring. The only package that exits the process. Imports `model`, `manifest`, `build` and `wiring`;
all but `model` inside the command that needs it, so that help is shown at once.

Its one public name is `casemate.cli.main.main`. It is not exported here, where it would hide the
module it is in.
"""
