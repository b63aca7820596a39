"""Every column of every contract has a role, and which one follows from what it is."""

from __future__ import annotations

import pyarrow as pa

from fleetlake.contracts.arrow import table_schema
from fleetlake.contracts.tables import RAW, all_tables
from fleetlake.maintain.erase_fields import Role, role_of


def columns_of(role: Role) -> set[str]:
    tables = (*all_tables(), *RAW)
    return {field.name for table in tables for field in table_schema(table) if role_of(field.name, field.type) is role}


def test_roles_follow_from_the_contracts() -> None:
    assert columns_of(Role.DEVICE) == {"device_id"}
    assert columns_of(Role.KEY) == {"event_id", *(table.columns[0].name for table in all_tables() if table.layer == "gold")}
    assert columns_of(Role.PAYLOAD) == {"payload"}
    assert columns_of(Role.REASON) == {"reject_reason"}
    assert columns_of(Role.TEXT) == {
        "camera_id", "derived", "description", "fuel_type", "incident_id", "make", "model", "vehicle_type",
    }  # fmt: skip


def test_a_column_of_no_contract_goes_by_its_type() -> None:
    roles = [role_of("later", kind) for kind in (pa.string(), pa.large_string(), pa.binary(), pa.float64())]
    assert roles == [Role.TEXT, Role.TEXT, Role.PAYLOAD, Role.NONE]
