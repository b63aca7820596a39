"""The entry point. It imports next to nothing, so that Ctrl-C is caught from the start, also while the command line is imported."""

from __future__ import annotations

import os
import sys

INTERRUPTED_EXIT_CODE = 130  # 128 and the number of SIGINT, as shells have it
STANDARD_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))  # by file descriptor


def main() -> None:
    """Runs the command of sys.argv and ends the process."""
    try:
        open_standard_streams()
        from fleetlake.cli.command_line import run

        run()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


def open_standard_streams() -> None:
    """Opens those of stdin, stdout and stderr that whoever started us had closed, as launchers do, on /dev/null.

    Otherwise the next file that is opened would get the free descriptor, and with it what a library or a child prints; and
    Python has None for such a stream, which can be neither written to nor asked whether it is a terminal.
    """
    for descriptor, (name, access) in enumerate(STANDARD_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, access)  # the lowest that is free, which is this one: those before it are open by now
            os.set_inheritable(descriptor, True)  # a child's would be closed otherwise
        if getattr(sys, name) is None:
            mode = "r" if access == os.O_RDONLY else "w"
            stream = os.fdopen(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main()
