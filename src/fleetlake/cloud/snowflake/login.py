"""Logging in: where the credentials come from, and what is said if there are none or they are refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetlake.cloud.snowflake.session import ConnectorSession, Session, is_connectors, masked
from fleetlake.foundation.errors import BadInput, Missing

HINT = "a connection in connections.toml (snowflake.connection names it), or SNOWFLAKE_ACCOUNT, _USER and _PRIVATE_KEY_FILE"
NETWORK_HINT = "look at the network (name lookup, proxy, firewall) and at the account's name, which the host's name begins with"
ENVIRONMENT = {"account": "SNOWFLAKE_ACCOUNT", "user": "SNOWFLAKE_USER", "private_key_file": "SNOWFLAKE_PRIVATE_KEY_FILE"}
UNNAMED = "default"  # what the connector takes where nothing names a default connection
PATIENCE_S, PATIENCE_OF_A_PERSON_S = 10, 120
A_PERSON_ANSWERS = ("externalbrowser", "username_password_mfa", "oauth_authorization_code", "https://")
NETWORK = re.compile(
    r"HTTP request failed|lookup|timed out|refused \(os|reset by peer|unreachable|certificate|proxy", re.IGNORECASE
)
SERVERS_OWN = 390_000  # numbers from here on are answers of Snowflake's, so the network is fine
IN_FILE = re.compile(r"Failed to (?:parse TOML from|read config file at) (.*?\.toml): (?:TOML parse error at (line \d+))?")
CONFIGURATION_ERRORS = ("ConfigManagerError", "ConfigSourceError", "MissingConfigOptionError")


@contextmanager
def open_session(connection: str) -> Iterator[Session]:
    """Logs in. connection: name in connections.toml; empty: the environment's key pair, else the default connection.

    Missing without the connector; BadInput for what can't log in, whatever the reason: it is for the user to change.
    """
    try:
        import snowflake.connector  # noqa: F401
    except ImportError as error:
        raise Missing(
            "Snowflake's connector is not installed", hint="pip install 'fleetlake[snowflake]', in a clone: make cloud"
        ) from error
    opened = connect(connection)
    try:
        yield ConnectorSession(opened)
    finally:
        opened.close()


def key_pair(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the connector is given for a key pair in the environment; nothing if there is none. BadInput for half of one."""
    if not environment.get(ENVIRONMENT["private_key_file"]):
        return {}
    found = {option: environment.get(name, "") for option, name in ENVIRONMENT.items()}
    absent = [ENVIRONMENT[option] for option, value in found.items() if not value]
    if absent:
        raise BadInput(f"a key file for Snowflake is given, but not {', '.join(absent)}", where="environment", hint=HINT)
    if not Path(found["private_key_file"]).is_file():
        raise BadInput("there is no such key file", where=f"{ENVIRONMENT['private_key_file']} {found['private_key_file']}")
    password = environment.get("SNOWFLAKE_PRIVATE_KEY_FILE_PWD")
    return found | {"authenticator": "SNOWFLAKE_JWT"} | ({"private_key_file_pwd": password} if password else {})


def connect(connection: str) -> Any:
    """A connection of the connector's. connection: name in connections.toml; empty: key pair of the environment, else the default.

    BadInput for what can't log in, whatever the reason. No text of connections.toml is in it.
    """
    import snowflake.connector as connector

    given = {} if connection else key_pair(os.environ)
    name = connection
    try:
        options = given | {"login_timeout": PATIENCE_S}
        if not given:
            name, options = _named(connection)
        return connector.connect(**options, enable_server_session_keep_alive_auto_detection=False)
    except Exception as error:
        if is_connectors(error) or isinstance(error, OSError):
            raise refusal(error, name, "environment" if given else f"connection {name or UNNAMED}") from None
        raise


def _named(connection: str) -> tuple[str, dict[str, Any]]:
    """The connection's name and what the connector is given for it: it looks for its default only if it is given nothing at all."""
    from snowflake.connector.config_manager import CONFIG_MANAGER

    default = str(CONFIG_MANAGER["default_connection_name"]) or UNNAMED
    name = connection or default
    connections = (CONFIG_MANAGER.conf_file_cache or {}).get("connections", {})
    settings = connections.get(name, {}) if isinstance(connections, dict) else {}
    return name, {"connection_name": name, "login_timeout": _patience_s(settings if isinstance(settings, dict) else {})}


def _patience_s(settings: Mapping[str, Any]) -> int:
    """The connection's own, which the connector would not look at, and longer where a person has to answer first."""
    own = settings.get("login_timeout")
    if isinstance(own, int):
        return own
    asks = str(settings.get("authenticator", "")).lower().startswith(A_PERSON_ANSWERS)
    return PATIENCE_OF_A_PERSON_S if asks else PATIENCE_S


def refusal(error: Exception, name: str, where: str) -> BadInput:
    """Why there is no session. name: the connection's.

    What the connector says of its configuration may quote it, so that is said anew.
    """
    texts = [str(cause) for cause in _causes(error)]
    if type(error).__name__ in CONFIGURATION_ERRORS or any("Configuration error" in text for text in texts):
        return _bad_configuration(" ".join(texts), name, where)
    said = masked(" ".join(str(error).split()))
    number = getattr(error, "errno", None) or 0
    if isinstance(error, OSError) or (number < SERVERS_OWN and NETWORK.search(said)):
        return BadInput(f"Snowflake can't be reached: {said}", where=where, hint=NETWORK_HINT)
    return BadInput(f"no session with Snowflake: {said}", where=where, hint=HINT)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _bad_configuration(text: str, name: str, where: str) -> BadInput:
    """Of the text only a file, a line's number and names of settings are said."""
    in_file = IN_FILE.search(text)
    if in_file:
        file, line = in_file.groups()
        what = "this is not TOML" if line else "this can't be read as text in UTF-8"
        return BadInput(what, where=f"{file} {line}" if line else file, hint="is a quote or a bracket not closed?" if line else "")
    open_to_others = re.search(r"Insecure file permissions on (.*?\.toml)", text)
    if open_to_others:
        file = open_to_others.group(1)
        return BadInput(
            "others may write this file, so Snowflake's connector does not read it", where=file, hint=f"chmod 600 {file}"
        )
    if re.search(r"Connection '.*' not found", text):
        if name == UNNAMED:
            return BadInput("no Snowflake credentials", where="connections.toml and environment", hint=HINT)
        return BadInput(f"there is no connection {name!r}", where="connections.toml", hint=HINT)
    lacking = sorted(set(re.findall(r"Missing required parameter '(\w+)'", text)))
    if lacking:
        return BadInput(f"the connection lacks {', '.join(lacking)}", where=where, hint=HINT)
    unusable = sorted(set(re.findall(r"for parameter '(\w+)'|(?:\): |; )(\w+): Invalid", text)))
    settings = ", ".join(first or second for first, second in unusable)
    return BadInput(f"Snowflake's connector can't use {settings or 'the settings'} of the connection", where=where, hint=HINT)
