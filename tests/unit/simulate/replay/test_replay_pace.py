"""When and in which order rows are sent, by a clock the test moves."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from replay_sink import KeptSink

from fleetlake.contracts.events import Event
from fleetlake.foundation.errors import BadInput
from fleetlake.simulate.replay import ReplayReport, read_drives, send_drives


class Clock:
    """Time passes only by sleeping. A sink too: it notes when records came."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sent: list[tuple[float, int]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def send(self, event: Event, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self.sent.append((self.now - 1000, len(values)))

    def flush(self) -> None: ...


def drive(folder: Path, seconds: Sequence[int], name: str = "car.csv") -> Path:
    path = folder / name
    path.write_text("time,lat,lon\n" + "".join(f"{1_700_000_000 + second},1,2\n" for second in seconds))
    return path


def played(paths: list[Path], speedup: float | None) -> tuple[Clock, ReplayReport]:
    clock = Clock()
    return clock, send_drives(read_drives(paths, {}), clock, speedup=speedup, sleep=clock.sleep, clock=clock)


@pytest.mark.parametrize(("speedup", "times"), [(1.0, [0, 10, 25]), (10.0, [0, 1, 2.5]), (0.5, [0, 20, 50])])
def test_rows_go_out_when_their_time_has_come(tmp_path: Path, speedup: float, times: list[float]) -> None:
    clock, report = played([drive(tmp_path, [0, 10, 10, 25])], speedup)
    assert clock.sent == list(zip(times, [1, 2, 1], strict=True))
    assert report.elapsed_s == times[-1]


def test_at_once_means_without_a_pause(tmp_path: Path) -> None:
    clock, _ = played([drive(tmp_path, [0, 10, 10, 25])], None)
    assert clock.sent == [(0, 4)]


def test_what_became_due_while_sending_goes_together(tmp_path: Path) -> None:
    clock = Clock()

    def oversleep(seconds: float) -> None:
        clock.now += seconds + (12 if seconds else 0)

    send_drives(read_drives([drive(tmp_path, [0, 10, 20, 60])], {}), clock, speedup=1, sleep=oversleep, clock=clock)
    assert clock.sent == [(0, 1), (22, 2), (72, 1)]


def test_files_are_merged_by_time_and_progress_is_told(tmp_path: Path) -> None:
    sink, told = KeptSink(), []
    drives = read_drives([drive(tmp_path, [0, 20, 10], "a.csv"), drive(tmp_path, [5, 15], "b.csv")], {})
    send_drives(drives, sink, on_progress=lambda sent, rows: told.append((sent, rows)))
    assert sink.column("deviceId") == ["a", "b", "a", "b", "a"]
    assert all(first < second for first, second in pairwise(sink.column("timestamp")))
    assert told == [(5, 5)]


def test_a_row_without_a_time_stays_behind_its_predecessor(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,lat,lon,sat\n?,1,2,0\n1700000000,1,2,1\n,1,2,2\n1700000009,1,2,3\n")
    sink = KeptSink()
    send_drives(read_drives([path], {}), sink)
    assert sink.column("satellites") == [0, 1, 2, 3]


def test_large_files_go_out_in_chunks_with_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,lat,lon\n" + "1700000000,1,2\n" * 25_000)
    clock, sink = Clock(), KeptSink()
    send_drives(read_drives([path], {}), clock, sleep=clock.sleep, clock=clock)
    assert [count for _, count in clock.sent] == [10_000, 10_000, 5_000]
    send_drives(read_drives([path], {}), sink)
    assert len(set(sink.column("id"))) == 25_000


@pytest.mark.parametrize("speedup", [0.0, -1.0, float("inf"), float("nan")])
def test_a_pace_that_is_none_is_refused(tmp_path: Path, speedup: float) -> None:
    with pytest.raises(BadInput, match="more than 0, or max"):
        played([drive(tmp_path, [0])], speedup)
