"""What others wrote can't control a terminal, in whatever message it stands."""

from fleetlake.foundation.display import escape_controls
from fleetlake.foundation.errors import BadInput


def test_what_can_be_printed_stays_and_the_rest_is_spelled_out() -> None:
    assert escape_controls("a\x1b[2J\x07\x9b31m\u202e\ud800é漢", keep="") == "a\\x1b[2J\\x07\\x9b31m\\u202e\\ud800é漢"
    assert escape_controls("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


def test_an_error_spells_out_the_controls_of_what_it_quotes() -> None:
    error = BadInput("no fence \x1b]0;owned\x07", where="file\x9b", allowed="a\u2028b", hint="two\nlines")
    assert str(error) == "no fence \\x1b]0;owned\\x07; at file\\x9b; allowed: a\\u2028b; try: two\nlines"
    assert error.what == "no fence \x1b]0;owned\x07"
