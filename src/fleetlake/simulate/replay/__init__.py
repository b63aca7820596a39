"""Recorded drives (CSV, GPX) as the events a vehicle would have sent."""

from fleetlake.simulate.replay.mapping import parse_assignments, read_mapping
from fleetlake.simulate.replay.problems import Problem
from fleetlake.simulate.replay.run import Drives, ReplayReport, read_drives, replay_files, send_drives

__all__ = [
    "Drives",
    "Problem",
    "ReplayReport",
    "parse_assignments",
    "read_drives",
    "read_mapping",
    "replay_files",
    "send_drives",
]
