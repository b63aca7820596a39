"""Files of a table: any text can be written, and a reader that prunes by their statistics finds each row."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.expressions import EqualTo

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.events import VEHICLE
from fleetlake.contracts.tables import bronze_of
from fleetlake.lake.catalog import LakeSettings, open_lake
from fleetlake.lake.commits import commit
from fleetlake.lake.write import upper_bound, write_files

TABLE = bronze_of(VEHICLE)
LAST, BEFORE_SURROGATES = "\U0010ffff", "\ud7ff"
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from([LAST, BEFORE_SURROGATES, "\ue000", "a"]), max_size=6)


@given(texts, st.integers(1, 4))
def test_an_upper_bound_is_the_least_of_its_length(text: str, length: int) -> None:
    bound = upper_bound(text, length)
    if bound is None:
        assert text[:length] == LAST * length
        return
    assert bound >= text
    assert len(bound) <= length or bound == text
    bound.encode()
    if bound != text:
        assert text.startswith(bound[:-1])
        assert chr(ord(bound[-1]) - (0x801 if bound[-1] == "\ue000" else 1)) == text[len(bound) - 1]


@pytest.mark.parametrize(
    "text", [BEFORE_SURROGATES * 20, "x" * 15 + BEFORE_SURROGATES + "y", "x" * 14 + BEFORE_SURROGATES + LAST * 4, LAST * 20]
)
def test_a_text_whose_bound_would_be_a_surrogate_is_written_and_found(tmp_path: Path, text: str) -> None:
    lake = open_lake(
        LakeSettings("test", {"type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"})
    )
    lake.ensure([TABLE])
    table = lake.table(TABLE.name)
    row = {"kafka_partition": 0, "kafka_offset": 1, "device_id": text, "event_id": text, "vehicle_type": text}
    rows = pa.Table.from_pylist([row], schema=table_schema(TABLE))
    commit(table, added=write_files(table, rows, folder=uuid.uuid4().hex), properties={})
    assert lake.table(TABLE.name).scan(row_filter=EqualTo("device_id", text)).to_arrow().num_rows == 1
    lake.close()
