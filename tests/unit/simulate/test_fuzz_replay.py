"""Whatever a recording holds: each of its rows is sent and, if it is bad, reported, or the file is refused with a reason."""

import gzip
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzzing import fuzz

from fleetlake.contracts.validation import parse
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay import recordings, replay_files
from fleetlake.simulate.replay.mapping import read_mapping

GPX = b"""\
<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="urn:x"><trk><trkseg>
<trkpt lat="52.0" lon="-1.0"><ele>100.5</ele><time>2026-01-01T10:00:00Z</time><sat>9</sat></trkpt>
<trkpt lat="52.001" lon="-1.0"><time>2026-01-01T10:00:10.250Z</time><extensions><x:speed>10</x:speed></extensions></trkpt>
</trkseg></trk></gpx>
"""
CSV = b"device_id,timestamp,lat,lon,speed\na,2026-01-01T10:00:00Z,52,-1,5\nb,2026-01-01T10:00:10Z,52.1,-1,50\n\nb,,,,\n"
PIECES = [
    b"", b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b"\r\n", b"\xe2\x80\xa8", b'"', b'""', b",", b";",
    b"\t", b"nan", b"1e999", b"-", b"9" * 30, b"9" * 5000, b"x" * 140_000, b"2026-01-01T10:00:00+99:99", b"0000-01-01T00:00:00Z",
    b"9999-12-31T23:59:59-14:00", b"<", b">", b"&", b"&a;", b"&#1;", b"&#xD800;", b"<a>", b"</a>", b"<a/>", b"<!--", b"-->",
    b"<![CDATA[", b'<trkpt lat="1" lon="2"/>', b"</trkpt>", b"</trkseg>", b'<!DOCTYPE a [<!ENTITY a "b">]>',
    b'<?xml version="1.0" encoding="utf-16"?>',
]  # fmt: skip
SUFFIXES = [".csv", ".csv", ".gpx", ".gpx", ".tsv", ".csv.gz"]


class Sent:
    """A sink. records: event and value of each."""

    def __init__(self) -> None:
        self.records: list[tuple[object, bytes]] = []
        self.rejected = 0

    def send(self, event: object, keys: list[bytes], values: list[bytes]) -> None:
        self.records += [(event, value) for value in values]
        self.rejected += sum(parse(event, value).reject_reason is not None for value in values)  # type: ignore[arg-type]

    def flush(self) -> None:
        pass


@st.composite
def cut_up(draw: st.DrawFn, content: bytes) -> bytes:
    """A recording with some pieces put in, taken out or doubled."""
    for _ in range(draw(st.integers(1, 4))):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        piece = draw(st.sampled_from(PIECES) | st.just(content[first:last] * 2) | st.binary(max_size=4))
        content = content[:first] + piece + content[draw(st.sampled_from([first, first, last])) :]
    return content


def saved(folder: Path, content: bytes, suffix: str) -> Path:
    path = folder / f"drive{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix == ".csv.gz" else content)
    return path


def replay(path: Path) -> int | None:
    """Rows that were sent, None if the file was refused, which must say where. All that is bad must have been reported."""
    sink = Sent()
    try:
        report = replay_files([path], {}, sink)
    except BadInput as refused:
        message = str(refused)
        assert str(path) in message
        assert len(message) < 2000
        return None
    assert report.sent == {"gps_data": len(sink.records)}
    assert len(sink.records) == report.rows
    assert sink.rejected <= sum(problem.rows for problem in report.problems)
    return report.rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@given(cut_up(CSV), st.sampled_from(SUFFIXES))
@fuzz(250)
def test_a_table_that_was_cut_up(folder: Path, content: bytes, suffix: str) -> None:
    replay(saved(folder, content, suffix))


@given(cut_up(GPX))
@fuzz(400)
def test_a_track_that_was_cut_up(folder: Path, content: bytes) -> None:
    replay(saved(folder, content, ".gpx"))


@given(st.binary(max_size=200), st.sampled_from(SUFFIXES))
@fuzz(100)
def test_any_bytes(folder: Path, content: bytes, suffix: str) -> None:
    replay(saved(folder, content, suffix))


@given(
    st.lists(
        st.sampled_from(["a,2026-01-01T10:00:00Z,1,2,3", "a,,1,2", "x", "", '"a",b,,,', ",,,,", "é,1767225600,x,y,z"]), max_size=9
    )
)
@fuzz(60)
def test_each_line_that_is_not_blank_is_a_row(folder: Path, lines: list[str]) -> None:
    first = CSV.decode().splitlines()[:2]
    rows = replay(saved(folder, "\n".join([*first, *lines, ""]).encode(), ".csv"))
    assert rows == 1 + sum(bool(line.strip(",")) for line in lines)


ENTITIES = b'<!ENTITY a "aaaaaaaaaa">' + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))


@pytest.mark.parametrize(
    "doctype",
    [
        b"<!DOCTYPE gpx [" + ENTITIES + b"]>",
        b'<!DOCTYPE gpx [<!ENTITY j SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE gpx [<!ENTITY % a SYSTEM "http://127.0.0.1:9/a"> %a;]>',
        b'<!DOCTYPE gpx SYSTEM "http://127.0.0.1:9/a.dtd">',
    ],
    ids=["bomb", "file", "parameter", "external"],
)
def test_a_document_type_is_refused(folder: Path, doctype: bytes) -> None:
    content = GPX.replace(b"?>\n", b"?>\n" + doctype, 1)
    for text in (content, content.replace(b"100.5", b"&j;"), content.replace(b"UTF-8", b"UTF-7")):
        with pytest.raises(BadInput, match="<!DOCTYPE>"):
            recordings.read_recording(saved(folder, text, ".gpx"))


def test_a_deep_track_is_refused_before_it_ends_the_process(folder: Path) -> None:
    content = GPX.replace(b"<x:speed>10</x:speed>", b"<a>" * 1_400_000 + b"</a>" * 1_400_000)
    with pytest.raises(BadInput, match="more than 100"):
        recordings.read_recording(saved(folder, content, ".gpx"))


def test_as_many_names_as_points_are_refused(folder: Path) -> None:
    content = GPX.replace(b"<x:speed>10</x:speed>", b"".join(b"<n%d>1</n%d>" % (n, n) for n in range(2000)))
    with pytest.raises(BadInput, match="different names"):
        recordings.read_recording(saved(folder, content, ".gpx"))


@pytest.mark.parametrize(
    ("header", "refused"),
    [
        (b"a" * 100_000, False),
        (b"a" * 140_000, True),
        (b"\xc3\xa9," * 600_000, True),
        (b"a\xe2\x80\xa8b", False),
        (b'"a\nb"', False),
    ],
)
def test_a_long_or_odd_header(folder: Path, header: bytes, refused: bool) -> None:
    lines = CSV.split(b"\n")
    content = b"\n".join([header + b"," + lines[0], b"1," + lines[1], b""])
    assert replay(saved(folder, content, ".csv")) == (None if refused else 1)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_more_than_fits_is_refused_however_small_it_was_packed(folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = CSV + CSV.split(b"\n")[1] * 100
    monkeypatch.setattr(recordings, "CSV_BYTES", len(content))
    recordings.read_recording(saved(folder, content, suffix))
    monkeypatch.setattr(recordings, "CSV_BYTES", len(content) - 1)
    with pytest.raises(BadInput, match="too much"):
        recordings.read_recording(saved(folder, content, suffix))


def test_lines_of_other_lengths_are_kept_up_to_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MALFORMED_LINES", 5)
    assert replay(saved(folder, CSV + b"x\n" * 4, ".csv")) == 7
    assert replay(saved(folder, CSV + b"x\n" * 5, ".csv")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are Unicode")
def test_a_name_that_is_not_utf8_is_refused(folder: Path) -> None:
    path = folder / "caf\udce9.csv"
    path.write_bytes(CSV)
    with pytest.raises(BadInput, match=r"caf\\udce9.csv"):
        recordings.read_recording(path)


def test_a_deep_mapping_is_refused(folder: Path) -> None:
    path = folder / "deep.toml"
    path.write_text("speed = " + "[" * 10_000 + "]" * 10_000)
    with pytest.raises(BadInput, match="can't be read"):
        read_mapping(path)
