"""Two versions of the contracts compared: what happens to the records of either at the other, and to the tables.

The fields are compared rule by rule. Libraries that compare JSON Schemas (jsonsubschema, jsoncompat) answer whether one is part of
the other; they know nothing of units and columns, nor what becomes of a record or a table, which is what has to be decided here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleetlake.contracts.columns import FIRST_YEAR, LAST_YEAR, Type
from fleetlake.contracts.json_schema import TIME_OF_ANY_YEAR, TIME_PATTERN
from fleetlake.contracts.published import Contract, Rule

WIDENINGS = {(Type.INTEGER, Type.LONG)}  # what Iceberg can make of a column; float to double too, but the contracts have no float
UNCHANGED, ACCEPTED = "unchanged", "accepted"
OTHER_NAME = "can't be: give the field another column; a column of this type stays as it is"


class Class(StrEnum):
    """Whose records are accepted where, the tables included."""

    FULL = "full"  # either version's at the other
    BACKWARD = "backward"  # records of OLD at NEW: the lake goes first, then the producers
    FORWARD = "forward"  # records of NEW at OLD: the producers go first, then the lake
    BREAKING = "breaking"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. field: empty if it is the topic's. old_records: what becomes of OLD's records in NEW's lake; new_records: of
    NEW's in OLD's; table: what becomes of the tables. reads_old, reads_new: whether all of those are accepted as they were meant.
    """

    topic: str
    field: str
    change: str
    old_records: str = ACCEPTED
    new_records: str = ACCEPTED
    table: str = UNCHANGED
    reads_old: bool = True
    reads_new: bool = True

    @property
    def kind(self) -> Class:
        return _class(reads_old=self.reads_old, reads_new=self.reads_new)


def verdict(differences: Iterable[Difference]) -> Class:
    """Of two versions as a whole: what holds for each of the differences. Full if there are none."""
    found = list(differences)
    return _class(reads_old=all(d.reads_old for d in found), reads_new=all(d.reads_new for d in found))


def compare(old: Mapping[str, Contract], new: Mapping[str, Contract]) -> list[Difference]:
    """All differences, topic by topic in OLD's order, then those just NEW has.

    It is of two versions at a time: a field that was removed and comes back as something else is not seen unless OLD had it.
    """
    found: list[Difference] = []
    for topic in (*old, *(topic for topic in new if topic not in old)):
        if topic not in new:
            gone = "not read: the topic is no longer known"
            found.append(
                Difference(topic, "", "topic removed", old_records=gone, table="stay as they are, not filled", reads_old=False)
            )
        elif topic not in old:
            unread = "not read: the topic is not known yet"
            found.append(Difference(topic, "", "topic added", new_records=unread, table="are made", reads_new=False))
        else:
            found += _compare_topic(old[topic], new[topic])
    return found


def _compare_topic(old: Contract, new: Contract) -> Iterator[Difference]:
    if old.schema_id != new.schema_id:
        yield Difference(old.topic, "", f"schema {old.schema_id} is {new.schema_id} now")
    for name, rule in old.fields.items():
        if name not in new.fields:
            yield _removed(old, name)
        else:
            yield from _compare_required(old, new, name)
            yield from _compare_rules(old.topic, name, rule, new.fields[name])
    for name in new.fields:
        if name not in old.fields:
            yield _added(new, name)


def _added(contract: Contract, name: str) -> Difference:
    required = name in contract.required
    return Difference(
        contract.topic,
        name,
        f"{'required' if required else 'optional'} field added",
        old_records=_rejected("missing_field") if required else "accepted; the new column is null",
        new_records="accepted; the field is passed over: Kafka has it, the lake does not",
        table=f"{_columns(contract.fields[name])}: added at the end; rows of before read null",
        reads_old=not required,
    )


def _removed(contract: Contract, name: str) -> Difference:
    required = name in contract.required
    return Difference(
        contract.topic,
        name,
        f"{'required' if required else 'optional'} field removed",
        old_records="accepted; the field is passed over",
        new_records=_rejected("missing_field") if required else "accepted; the column is null",
        table=f"{_columns(contract.fields[name])}: stays with what it has; null in new rows",
        reads_new=not required,
    )


def _compare_required(old: Contract, new: Contract, name: str) -> Iterator[Difference]:
    was, is_now = name in old.required, name in new.required
    lacking = _rejected("missing_field", "where it is absent or null")
    if is_now and not was:
        yield Difference(old.topic, name, "required now", old_records=lacking, reads_old=False)
    elif was and not is_now:
        table = f"{_columns(new.fields[name])}: may be null in silver too"
        yield Difference(old.topic, name, "optional now", new_records=lacking, table=table, reads_new=False)


def _compare_rules(topic: str, name: str, old: Rule, new: Rule) -> Iterator[Difference]:
    table, fits = _table_of(old, new)
    checks = (
        _types(old, new), _bounds("minimum", old.minimum, new.minimum, -1), _bounds("maximum", old.maximum, new.maximum, 1),
        _choices(old.choices, new.choices), _pattern(old, new), _bounds("shortest length", old.min_length, new.min_length, -1),
    )  # fmt: skip
    for change, reject, reads_old, reads_new in filter(None, checks):
        at_new = ACCEPTED if reads_old else _rejected(reject, "where it does not keep the new rule")
        at_old = ACCEPTED if reads_new else _rejected(reject, "where it does not keep the old rule")
        yield Difference(topic, name, change, at_new, at_old, reads_old=reads_old, reads_new=reads_new)
    if table != UNCHANGED:
        change = f"column type {old.column_type} -> {new.column_type}"
        yield Difference(topic, name, change, table=table, reads_old=fits, reads_new=fits)
    if old.unit != new.unit:
        misread = "accepted, but read in the other unit"
        yield Difference(
            topic, name, f"unit {_named(old.unit)} -> {_named(new.unit)}", misread, misread, "one column of two units", False, False
        )
    if old.column != new.column:
        column = f"{new.column or 'none'}: a new column, null in rows of before; {old.column or 'none'} keeps theirs"
        change = f"column {_named(old.column)} -> {_named(new.column)}"
        yield Difference(topic, name, change, table=column, reads_old=False, reads_new=False)
    if (old.vss, old.description) != (new.vss, new.description):
        yield Difference(topic, name, "described otherwise", table="its comment stays what it was when the column was made")
    for position, (old_item, new_item) in enumerate(zip(old.items, new.items, strict=False)):
        yield from _compare_rules(topic, f"{name}[{position}]", old_item, new_item)


Check = tuple[str, str, bool, bool]  # change, rule a record is rejected by, reads_old, reads_new


def _types(old: Rule, new: Rule) -> Check | None:
    if old.types == new.types and len(old.items) == len(new.items):
        return None
    change = f"type {_type_names(old)} -> {_type_names(new)}"
    return change, "wrong_type", _takes(new, old), _takes(old, new)


def _takes(reader: Rule, writer: Rule) -> bool:
    known = reader.types | ({"integer"} if "number" in reader.types else frozenset())
    return writer.types <= known and len(reader.items) == len(writer.items)


def _bounds(what: str, old: float | None, new: float | None, direction: int) -> Check | None:
    """direction: 1 for an upper bound, -1 for a lower one."""
    was, is_now = (math.inf if bound is None else direction * bound for bound in (old, new))
    if was == is_now:
        return None
    return f"{what} {_limit(old)} -> {_limit(new)}", "out_of_range", is_now >= was, was >= is_now


def _choices(old: frozenset[str] | None, new: frozenset[str] | None) -> Check | None:
    if old == new:
        return None
    if old is None or new is None:
        return "any value allowed" if new is None else "a list of values now", "not_allowed", new is None, old is None
    more, less = sorted(new - old), sorted(old - new)
    told = [f"values {sign} {', '.join(values)}" for sign, values in (("added:", more), ("removed:", less)) if values]
    return "; ".join(told), "not_allowed", not less, not more


def _pattern(old: Rule, new: Rule) -> Check | None:
    if old.pattern == new.pattern:
        return None
    if {old.pattern, new.pattern} == {TIME_OF_ANY_YEAR, TIME_PATTERN}:
        change = "any year" if new.pattern == TIME_OF_ANY_YEAR else f"years {FIRST_YEAR} to {LAST_YEAR} only"
        return change, "out_of_range", new.pattern == TIME_OF_ANY_YEAR, old.pattern == TIME_OF_ANY_YEAR
    rule = "bad_timestamp" if old.is_time or new.is_time else "not_allowed"
    return f"pattern {_named(old.pattern)} -> {_named(new.pattern)}", rule, new.pattern is None, old.pattern is None


def _table_of(old: Rule, new: Rule) -> tuple[str, bool]:
    """What becomes of a column whose type changes, and whether it can."""
    was, is_now = old.column_type, new.column_type
    if old.column != new.column or was == is_now:
        return UNCHANGED, True
    return (f"{new.column}: {was} becomes {is_now}", True) if (was, is_now) in WIDENINGS else (f"{new.column}: {OTHER_NAME}", False)


def _class(*, reads_old: bool, reads_new: bool) -> Class:
    if reads_old:
        return Class.FULL if reads_new else Class.BACKWARD
    return Class.FORWARD if reads_new else Class.BREAKING


def _rejected(rule: str, when: str = "") -> str:
    return f"rejected{' ' if when else ''}{when} ({rule}); row and bytes are kept in bronze"


def _columns(rule: Rule) -> str:
    return ", ".join(part.column for part in (rule, *rule.items) if part.column) or "no column"


def _type_names(rule: Rule) -> str:
    return " or ".join(sorted(rule.types)) + (f" of {len(rule.items)}" if rule.items else "")


def _limit(bound: float | None) -> str:
    return "none" if bound is None else f"{bound:.10g}"


def _named(text: str | None) -> str:
    return text or "none"
