"""Faults are what they say: copies of the same bytes, late within bounds, bad records of every kind, whatever the pace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from simulate_drives import START, Kept

from fleetlake.contracts.events import EVENTS, GPS, Event
from fleetlake.contracts.validation import parse
from fleetlake.simulate.events import EventBatch
from fleetlake.simulate.faults import POISONS, FaultRates, FaultySink, Tally
from fleetlake.simulate.run import SimulationSettings, run_simulation, simulate_journey

TICK_MS, TICKS, VEHICLES = 3_000, 500, 3


def tick(number: int, ticks: int = 1) -> EventBatch:
    """Fixes of `ticks` ticks in a row, three vehicles each; the value says which."""
    at = [(who, i * TICK_MS) for i in range(number, number + ticks) for who in range(VEHICLES)]
    values = [json.dumps({"who": who, "time_ms": time_ms}).encode() for who, time_ms in at]
    return EventBatch(GPS, [b"%d" % who for who, _ in at], values, np.array([t for _, t in at]), np.array([who for who, _ in at]))


def sent(rates: FaultRates, ticks_a_batch: int = 1, seed: int = 1) -> tuple[list[tuple[bytes, bytes]], FaultySink]:
    kept = Kept()
    faulty = FaultySink(kept, rates, seed)
    for number in range(0, TICKS, ticks_a_batch):
        faulty.send(tick(number, ticks_a_batch))
    faulty.finish()
    assert kept.flushed
    return kept.records[GPS.topic], faulty


def test_without_faults_all_is_sent_as_it_is() -> None:
    records, faulty = sent(FaultRates())
    whole = tick(0, TICKS)
    assert records == list(zip(whole.keys, whole.values, strict=True))
    tally = faulty.tallies[GPS.topic]
    assert tally == Tally(sent=len(records), good=len(records))


def test_faults_do_not_depend_on_how_ticks_are_batched_but_on_the_seed() -> None:
    rates = FaultRates(duplicates=0.05, late=0.05, poison=0.05, dropped_fixes=0.05)
    (singly, one), (many, ten) = sent(rates), sent(rates, ticks_a_batch=10)
    assert singly == many
    assert one.tallies == ten.tallies
    assert sent(rates, seed=2)[0] != singly


@pytest.mark.parametrize("ticks_a_batch", [1, TICKS])
def test_a_late_event_comes_150_to_600_seconds_behind_its_own_vehicle(ticks_a_batch: int) -> None:
    records, faulty = sent(FaultRates(late=0.05), ticks_a_batch)
    newest: dict[bytes, int] = {}
    behind_s = []
    for key, value in records:
        time_ms = json.loads(value)["time_ms"]
        if time_ms < newest.get(key, 0):
            behind_s.append((newest[key] - time_ms) / 1000)
        newest[key] = max(time_ms, newest.get(key, 0))
    late = [seconds for seconds in behind_s if seconds > 120]
    assert len(late) == faulty.tallies[GPS.topic].late > 40
    assert max(late) <= 600 + 5 * TICK_MS / 1000  # it may wait for a few ticks that are late themselves
    # Those released early were held when the drive ended, and came in order of their due times.
    assert min(behind_s[:40]) >= 150
    assert len(records) == len(set(records)) == TICKS * VEHICLES


def test_what_is_held_to_the_end_is_late_only_if_it_is() -> None:
    kept = Kept()
    faulty = FaultySink(kept, FaultRates(late=1.0), seed=1)
    faulty.send(tick(0, 20))
    assert not kept.records[GPS.topic]
    faulty.finish()
    assert len(kept.records[GPS.topic]) == faulty.tallies[GPS.topic].good == 60
    assert faulty.tallies[GPS.topic].late == 0  # nothing newer than 60 s had been sent


def test_a_duplicate_is_the_same_bytes_and_never_of_a_late_event() -> None:
    records, faulty = sent(FaultRates(duplicates=0.5, late=0.5))
    copies = len(records) - len(set(records))
    assert copies == faulty.tallies[GPS.topic].duplicates > 200
    assert all(records.count(record) <= 2 for record in records)
    assert sent(FaultRates(duplicates=1.0, late=1.0))[1].tallies[GPS.topic].duplicates == 0


def test_a_dropped_fix_is_not_sent_and_counts_as_nothing_else() -> None:
    records, faulty = sent(FaultRates(dropped_fixes=0.05))
    whole, tally = tick(0, TICKS), faulty.tallies[GPS.topic]
    lost = [value for value in whole.values if value not in {value for _, value in records}]
    assert 0.03 < len(lost) / len(whole.values) < 0.07
    assert tally == Tally(sent=len(records), good=len(records), dropped=len(lost))
    assert len({json.loads(value)["who"] for value in lost}) == VEHICLES
    assert sent(FaultRates(dropped_fixes=1.0))[0] == []


def test_only_fixes_are_dropped() -> None:
    kept = Kept()
    run_simulation(SimulationSettings(1, START, tick_s=60), kept, faults=FaultRates(dropped_fixes=1.0))
    assert {topic for topic, records in kept.records.items() if not records} == {GPS.topic}


def test_what_else_goes_wrong_is_the_same_with_dropped_fixes() -> None:
    rates = FaultRates(duplicates=0.2)
    whole, (rest, faulty) = sent(rates)[0], sent(replace(rates, dropped_fixes=0.3))
    arrived, tally = set(rest), faulty.tallies[GPS.topic]
    assert rest == [record for record in whole if record in arrived]
    assert tally.sent == len(rest) == tally.good + tally.duplicates
    assert tally.good + tally.dropped == TICKS * VEHICLES


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_kind_of_poison_is_rejected_by_every_contract(event: Event) -> None:
    batches = next(iter(simulate_journey(SimulationSettings(1, START))))
    (good,) = (batch.values[0] for batch in batches if batch.event is event)
    assert parse(event, good).reject_reason is None
    reasons = [parse(event, poison(good)).reject_reason for poison in POISONS]
    assert None not in reasons
    rules = {reason.split(":")[0] for reason in reasons if reason}
    assert rules >= {"not_json", "empty", "not_object", "not_utf8", "missing_field", "wrong_type", "bad_timestamp", "out_of_range"}
    assert ("not_allowed" in rules) == any(column.choices for column in event.columns)


def test_poison_is_sent_besides_the_good_events() -> None:
    kept = Kept()
    faulty = FaultySink(kept, FaultRates(poison=1.0), seed=1)
    goods: list[Sequence[bytes]] = []
    for _, batches in zip(range(20), simulate_journey(SimulationSettings(2, START)), strict=False):
        for batch in batches:
            goods.append(batch.values)
            faulty.send(batch)
    faulty.finish()
    for event in EVENTS:
        records, tally = kept.records[event.topic], faulty.tallies[event.topic]
        rejected = sum(parse(event, value).reject_reason is not None for _, value in records)
        assert rejected == tally.poison == tally.good == len(records) / 2
    everything = {value for records in kept.records.values() for _, value in records}
    assert {value for values in goods for value in values} <= everything
