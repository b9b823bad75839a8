"""One module per command, each with its `app`; loaded when the command is used."""
