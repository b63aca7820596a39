"""The command line. A command's module is imported when it is called, so `--help` answers at once."""

from __future__ import annotations

import importlib
import os
import select
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fleetlake import __version__
from fleetlake.cli.causes import is_of_deleted_folder, is_out_of_memory, unusable_place
from fleetlake.cli.crash_log import write_crash_log
from fleetlake.config.trust import require_no_strange_files
from fleetlake.foundation.aws_errors import explain, is_of_aws
from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import BadInput, FleetlakeError
from fleetlake.foundation.full_disk import is_no_room, note_of_full_disks

CRASH_EXIT_CODE = 70  # EX_SOFTWARE
BAD_HOME_EXIT_CODE = 2
NO_FOLDER_EXIT_CODE = 2
NO_ROOM_EXIT_CODE = 1  # it may succeed later
ROOT_OPTIONS = ("--home", "--profile", "--config", "--set")
COMMANDS = {
    "demo": "London to Birmingham: broker, 20 vehicles, ingest, trips, a map, in one go",
    "up": "start the embedded Kafka and make the topics",
    "down": "stop the embedded Kafka; its data stays",
    "status": "what runs, and what is in the topics",
    "cluster": "a Spark cluster on this machine: a master and workers",
    "simulate": "drive vehicles from London to Birmingham and send their events",
    "replay": "send recorded drives (CSV, GPX) as events",
    "ingest": "land every record of Kafka in Iceberg, exactly once",
    "etl": "load the raw landing's new files into Iceberg, each once",
    "transform": "bring silver and gold up to what was ingested",
    "verify": "compare Kafka with the lake, offset by offset",
    "erase": "take a device out of the lake, and prove it",
    "adopt": "make a copied lake a lake of its own",
    "maintain": "small files together, old snapshots and unknown files out, beside an ingest",
    "query": "SQL over all tables, now or as of a snapshot",
    "snapshots": "the snapshots of a table",
    "report": "trips, driving, scores, fuel, exposure, fleet: tables or a page",
    "quality": "how good each device's data is",
    "evaluate": "compare gold with what really happened",
    "quarantine": "the records that broke the contract, and why",
    "deploy": "AWS, Athena and Snowflake: what would be made, and making it",
    "athena": "SQL on Athena, with what it cost",
    "contracts": "events and tables as JSON Schema, AsyncAPI or Markdown; two versions compared",
    "config": "every setting and where it came from",
    "doctor": "what is missing on this machine, and how to get it",
}


class _OfLibrary(Exception):
    """Carries an error past click."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _is_output_closed() -> bool:
    """Whether nobody reads our output any more, if it goes into a pipe."""
    poll = select.poll()
    with suppress(OSError, ValueError):  # a stdout that is no file
        for stream in (sys.stdout, sys.stderr):
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


class LazyGroup(TyperGroup):
    """Knows its commands by name; each is in `commands/<name>.py`, as the function `<name>` or the group `app`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        require_no_strange_files()  # a library of ours reads it when it is imported
        module = importlib.import_module(f"fleetlake.cli.commands.{cmd_name}")
        group = getattr(module, "app", None)
        if group is None:
            group = typer.Typer(add_completion=False)
            group.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(group)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. What click takes for the user's doing, though a library raised it, is wrapped in _OfLibrary.

        The end of a file is no Ctrl-D, which typer.confirm tells by itself; a lost connection is no reader of our output that left.
        """
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise _OfLibrary(error) from error
        except BrokenPipeError as error:
            if _is_output_closed():
                raise
            raise _OfLibrary(error) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _root(
    home: Annotated[Path | None, typer.Option(help="Folder of the local profile's state, .fleetlake by default.")] = None,
    profile: Annotated[str | None, typer.Option(help="A [profile.NAME] of the configuration file.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The configuration file; FLEETLAKE_CONFIG, or ./fleetlake.toml, by default.")
    ] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, see config show.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """A telematics lakehouse: vehicle events from Kafka, exactly once, into Apache Iceberg, and on to trips.

    Example: fleetlake demo
    """
    from fleetlake.config.settings import Overrides
    from fleetlake.config.wiring import OVERRIDES

    if version:
        print(f"fleetlake {__version__}")
        raise typer.Exit
    OVERRIDES.set(Overrides(home, profile, config, tuple(assign or ())))


def cli() -> Any:
    """The root command, a click group."""
    app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True, invoke_without_command=True)
    app.callback()(_root)
    return typer.main.get_command(app)


def run() -> None:
    """Runs the command of sys.argv and ends the process, for a FleetlakeError with its exit code and one line.

    Raises: KeyboardInterrupt alone, for main.
    """
    try:
        _require_utf8(sys.argv[1:])
        sys.exit(cli().main(prog_name="fleetlake", standalone_mode=False))
    except FleetlakeError as error:
        sys.exit(_say(_with_full_disks(str(error), error), error.exit_code))
    except _OfLibrary as carrier:
        sys.exit(_say_unexpected(carrier.error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left: nothing to report
        sys.exit(0)
    except Exception as error:
        if (option := getattr(error, "option_name", None)) in ROOT_OPTIONS:
            sys.exit(_say(f"{option} goes before the command; try: fleetlake {option} VALUE COMMAND ...", error.exit_code))  # type: ignore[attr-defined]
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a wrong option: typer knows how to say it
            error.show()
            sys.exit(error.exit_code)
        if type(error).__name__ == "Abort" or _is_interrupted_import(error):
            raise KeyboardInterrupt from error
        if is_of_aws(error):  # where no module has told it as its own
            told = explain(error, "AWS")
            sys.exit(_say(str(told), told.exit_code))
        sys.exit(_say_unexpected(error))


def _require_utf8(arguments: Sequence[str]) -> None:
    """Raises: BadInput for an argument that is not UTF-8. Python has lone surrogates in it, which no library of ours takes."""
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise BadInput(f"not UTF-8: {argument}", where=f"argument {number}", allowed="UTF-8, also in names of files") from None


def _is_interrupted_import(error: Exception) -> bool:
    """DuckDB makes an ImportError of an interruption while it begins."""
    return isinstance(error, ImportError) and isinstance(error.__cause__, KeyboardInterrupt)


def _say(message: str, exit_code: int) -> int:
    from fleetlake.config.masking import without_secrets

    print(f"error: {escape_controls(' '.join(without_secrets(message).split()))}", file=sys.stderr)
    return exit_code


def _with_full_disks(message: str, error: BaseException) -> str:
    note = ""
    with suppress(OSError):  # a working folder that was deleted
        note = note_of_full_disks(error, _written_places())
    return f"{message}; {note}" if note else message


def _written_places() -> list[Path]:
    """Where this command may write: the home's parts, which may be disks of their own, a local warehouse, the temporary folder."""
    home = _home()
    places = [home, *(home / part for part in ("warehouse", "kafka", "truth", "logs", "metrics")), Path(tempfile.gettempdir())]
    with suppress(Exception):  # the configuration may be what is wrong
        from fleetlake.config.wiring import load_settings
        from fleetlake.lake.places import local_path

        settings = load_settings()
        if warehouse := local_path(settings.lake.properties.get("warehouse", "")):
            places.append(Path(warehouse))
    return places


def _say_unexpected(error: Exception) -> int:
    """A folder of the user's that can't be used is theirs to mend, exit code 2; all else is ours, with its details in a log."""
    if is_of_deleted_folder(error):
        return _say("the working folder was deleted; try: the same in a folder that is there, cd DIR", NO_FOLDER_EXIT_CODE)
    home = _home()
    if is_no_room(error):
        return _say(_with_full_disks("there is no room left to write to", error), NO_ROOM_EXIT_CODE)
    if is_out_of_memory(error):
        said = f" ({first})" if (first := str(error).partition("\n")[0]) else ""
        return _say(f"the memory of this machine is not enough for the command{said}; try: a machine with more", NO_ROOM_EXIT_CODE)
    if said := unusable_place(error, home):
        return _say(said, BAD_HOME_EXIT_CODE)
    details = write_crash_log(home, traceback.format_exc())
    return _say(_with_full_disks(f"unexpected {type(error).__name__}: {error}; {details}", error), CRASH_EXIT_CODE)


def _home() -> Path:
    """The home of this invocation's settings, or if they are what is wrong, the one that the user named, or the default."""
    from fleetlake.config.settings import ENV_HOME
    from fleetlake.config.wiring import OVERRIDES, load_settings

    with suppress(Exception):
        return load_settings().home
    return OVERRIDES.get().home or Path(os.environ.get(ENV_HOME) or ".fleetlake")
