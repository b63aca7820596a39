"""Whose credentials are taken, by the connector's own reading of real files, and what is said of those that can't be used.

Snowflake is a server on 127.0.0.1 that refuses every log-in and keeps who tried.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from snowflake.connector import errors
from snowflake.connector.config_manager import CONFIG_MANAGER

from fleetlake.cloud.snowflake.login import NETWORK_HINT, PATIENCE_S, key_pair, open_session, refusal
from fleetlake.foundation.errors import BadInput

SECRET = "SECRET" + "123"


class Refusing(ThreadingHTTPServer):
    """accounts: of every log-in that was tried."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.accounts: list[str] = []
        self.port = self.server_address[1]


class Answer(BaseHTTPRequestHandler):
    server: Refusing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.server.accounts.append(asked["data"]["ACCOUNT_NAME"])
        said = json.dumps({"success": False, "code": "390100", "message": "Incorrect username or password was specified."}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def snowflake() -> Iterator[Refusing]:
    with Refusing() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a file where the connector looks, which is empty at first."""
    for name in ("ACCOUNT", "USER", "PRIVATE_KEY_FILE", "PRIVATE_KEY_FILE_PWD", "DEFAULT_CONNECTION_NAME", "CONNECTIONS"):
        monkeypatch.delenv(f"SNOWFLAKE_{name}", raising=False)
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    files = [one._replace(path=tmp_path / "connections.toml") for one in CONFIG_MANAGER._slices]
    monkeypatch.setattr(CONFIG_MANAGER, "file_path", tmp_path / "config.toml")  # as in a process that starts with this home
    monkeypatch.setattr(CONFIG_MANAGER, "_slices", files)
    monkeypatch.setattr(CONFIG_MANAGER, "conf_file_cache", None)

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        path.chmod(0o600)
        return path

    return write_file


Write = Callable[[str, str], Path]


def connection(name: str, port: int, more: str = "") -> str:
    place = f'host = "127.0.0.1"\nport = {port}\nprotocol = "http"\n'
    return f'[{name}]\naccount = "of_{name}"\nuser = "somebody"\npassword = "{SECRET}"\n{place}{more}\n'


def refused(name: str = "") -> str:
    with pytest.raises(BadInput) as raised, open_session(name):
        raise AssertionError("a session")
    said = str(raised.value)
    assert raised.value.__suppress_context__
    assert SECRET not in said
    assert "\n" not in said
    return said


class TestWhoseCredentials:
    def test_the_default_connection(self, snowflake: Refusing, write: Write) -> None:
        write("connections.toml", connection("default", snowflake.port) + connection("other", snowflake.port))
        assert "Incorrect username or password" in refused()
        assert snowflake.accounts == ["of_default"]

    def test_the_one_config_toml_names(self, snowflake: Refusing, write: Write) -> None:
        write("connections.toml", connection("default", snowflake.port) + connection("mine", snowflake.port))
        write("config.toml", 'default_connection_name = "mine"\n')
        assert "at connection mine" in refused()
        assert snowflake.accounts == ["of_mine"]

    def test_the_one_the_environment_names(self, snowflake: Refusing, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        write("connections.toml", connection("default", snowflake.port) + connection("other", snowflake.port))
        monkeypatch.setenv("SNOWFLAKE_DEFAULT_CONNECTION_NAME", "other")
        refused()
        assert snowflake.accounts == ["of_other"]

    def test_the_one_that_is_asked_for_comes_before_the_default(self, snowflake: Refusing, write: Write) -> None:
        write("connections.toml", connection("default", snowflake.port) + connection("other", snowflake.port))
        refused("other")
        assert snowflake.accounts == ["of_other"]

    def test_a_key_pair_in_the_environment_comes_before_the_default(
        self, snowflake: Refusing, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("connections.toml", connection("default", snowflake.port))
        key = write("key.p8", SECRET)
        for name, value in (("ACCOUNT", "a"), ("USER", "u"), ("PRIVATE_KEY_FILE", str(key))):
            monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
        assert "; at environment; try: " in refused()
        assert snowflake.accounts == []


class TestConfiguration:
    def test_nothing(self, write: Write) -> None:
        assert refused() == (
            "no Snowflake credentials; at connections.toml and environment; try: a connection in connections.toml "
            "(snowflake.connection names it), or SNOWFLAKE_ACCOUNT, _USER and _PRIVATE_KEY_FILE"
        )

    def test_a_name_that_is_not_there(self, write: Write) -> None:
        write("connections.toml", connection("default", 1))
        assert refused("nobody").startswith("there is no connection 'nobody'; at connections.toml; try: ")

    @pytest.mark.parametrize("name", ["", "default"])
    def test_a_quote_that_is_not_closed(self, write: Write, name: str) -> None:
        path = write("connections.toml", f'[default]\naccount = "a"\nuser = "u"\npassword="{SECRET}\n')
        assert refused(name) == f"this is not TOML; at {path} line 4; try: is a quote or a bracket not closed?"

    def test_no_text(self, write: Write) -> None:
        path = write("connections.toml", "")
        path.write_bytes(b'[default]\npassword = "\xff' + SECRET.encode() + b'"\n')
        assert refused() == f"this can't be read as text in UTF-8; at {path}"

    def test_a_file_others_may_write(self, write: Write) -> None:
        path = write("connections.toml", connection("default", 1))
        path.chmod(0o666)
        assert refused().endswith(f"at {path}; try: chmod 600 {path}")

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            (f'account = "a"\nuser = "u"\npassword = "x"\nauthenticator = "{SECRET}"', "can't use authenticator of the connection"),
            (
                f'account = "a"\nuser = "u"\nauthenticator = "SNOWFLAKE_JWT"\nprivate_key_file = "/{SECRET}"',
                "can't use private_key_file of the connection",
            ),
            (
                f'account = "a"\nuser = "u"\nauthenticator = "SNOWFLAKE_JWT"\nprivate_key = "{SECRET}"',
                "can't use private_key of the connection",
            ),
            (f'account = "a"\npassword = "{SECRET}"', "the connection lacks user; at connection default"),
        ],
    )
    def test_a_setting_that_can_t_be_used_is_named_and_not_quoted(self, write: Write, settings: str, said: str) -> None:
        write("connections.toml", f"[default]\n{settings}\n")
        assert said in refused()

    @pytest.mark.parametrize("kind", [errors.ConfigSourceError, errors.ConfigManagerError, errors.MissingConfigOptionError])
    def test_no_text_of_a_configuration_error_is_quoted(self, kind: type[errors.Error]) -> None:
        said = str(refusal(kind(f"unheard of: {SECRET}"), "default", "connection default"))
        assert said.startswith("Snowflake's connector can't use the settings of the connection; at connection default")


class TestNetwork:
    def test_no_answer_is_not_waited_for_longer(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fleetlake.cloud.snowflake.login.PATIENCE_S", 1)
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            write("connections.toml", connection("default", deaf.getsockname()[1]))
            began = time.monotonic()
            said = refused()
        assert said.startswith("Snowflake can't be reached: ")
        assert said.endswith(f"; at connection default; try: {NETWORK_HINT}")
        assert time.monotonic() - began < 5
        assert 5 <= PATIENCE_S <= 10

    @pytest.mark.parametrize(
        ("more", "constant"),
        [("login_timeout = 1", ""), ('authenticator = "username_password_mfa"', "PATIENCE_OF_A_PERSON_S")],
    )
    def test_a_time_of_its_own(self, write: Write, monkeypatch: pytest.MonkeyPatch, more: str, constant: str) -> None:
        for name in ("PATIENCE_S", "PATIENCE_OF_A_PERSON_S"):
            monkeypatch.setattr(f"fleetlake.cloud.snowflake.login.{name}", 1 if name == constant else 4)
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            write("connections.toml", connection("default", deaf.getsockname()[1], more))
            assert "timed out after 1s" in refused()

    @pytest.mark.parametrize(
        "error",
        [
            errors.DatabaseError(
                msg="Failed to login: HTTP request failed after retries: login request. failed to lookup address information: "
                "Name or service not known",
                errno=250001,
            ),
            errors.OperationalError(msg="Failed to login: login timed out after 10s", errno=14),
            OSError(101, "Network is unreachable"),
        ],
    )
    def test_the_hint_is_about_the_network(self, error: Exception) -> None:
        said = refusal(error, "default", "connection default")
        assert (said.what[:27], said.hint) == ("Snowflake can't be reached:", NETWORK_HINT)

    def test_what_snowflake_itself_says_is_about_credentials(self) -> None:
        error = errors.DatabaseError(msg="Failed to login: Login error: MFA timed out., code: 390127", errno=390127)
        said = refusal(error, "default", "connection default")
        assert said.what.startswith("no session with Snowflake: ")
        assert said.hint != NETWORK_HINT


class TestKeyPair:
    def test_none_given(self) -> None:
        assert key_pair({"SNOWFLAKE_ACCOUNT": "a"}) == {}

    def test_whole(self, tmp_path: Path) -> None:
        key = tmp_path / "key.p8"
        key.touch()
        given = {"SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_USER": "u", "SNOWFLAKE_PRIVATE_KEY_FILE": str(key)}
        expected = {"account": "a", "user": "u", "private_key_file": str(key), "authenticator": "SNOWFLAKE_JWT"}
        assert key_pair(given) == expected
        assert key_pair({**given, "SNOWFLAKE_PRIVATE_KEY_FILE_PWD": "p"}) == {**expected, "private_key_file_pwd": "p"}

    def test_half(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="but not SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER"):
            key_pair({"SNOWFLAKE_PRIVATE_KEY_FILE": str(tmp_path)})

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="there is no such key file"):
            key_pair({"SNOWFLAKE_ACCOUNT": "a", "SNOWFLAKE_USER": "u", "SNOWFLAKE_PRIVATE_KEY_FILE": str(tmp_path / "x")})
