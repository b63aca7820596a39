"""The entry point. It imports next to nothing, so that Ctrl-C is caught from the start, also while the command line is imported."""

from __future__ import annotations

import sys

INTERRUPTED_EXIT_CODE = 130  # 128 and the number of SIGINT, as shells have it


def main() -> None:
    """Runs the command of sys.argv and ends the process."""
    try:
        from fleetlake.cli.command_line import run

        run()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


if __name__ == "__main__":
    main()
