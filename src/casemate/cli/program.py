"""The command `casemate`, as it is installed: `casemate.cli.main`, with Ctrl-C held as it loads."""

from casemate.cli import interrupts


def main() -> None:
    """Run the command line of this process and exit."""
    interrupts.hold()
    from casemate.cli.main import main as run

    run()
