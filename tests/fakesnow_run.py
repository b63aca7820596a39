"""Runs statements on fakesnow and prints what the views have; in an environment of its own, see requirements/fakesnow.lock.

Reads {"before": [sql], "views": {name: sql}} from stdin; prints {name: {"columns": [...], "rows": [[...]]}}.
"""

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return (
        int(value)
        if isinstance(value, Decimal) and value == value.to_integral_value()
        else float(value)
        if isinstance(value, Decimal)
        else value
    )


def main() -> None:
    import fakesnow  # here, since `plain` is for the tests too, which have no fakesnow
    import snowflake.connector

    asked = json.load(sys.stdin)
    found = {}
    with fakesnow.patch():
        cursor = snowflake.connector.connect(database="FLEETLAKE", schema="PUBLIC").cursor()
        for sql in asked["before"]:
            try:
                cursor.execute(sql)
            except Exception as error:
                sys.exit(f"{type(error).__name__}: {error}\n{sql}")
        for name in asked["views"]:
            cursor.execute(f"SELECT * FROM {name}")
            columns = [column.name for column in cursor.description]
            found[name] = {"columns": columns, "rows": [[plain(value) for value in row] for row in cursor.fetchall()]}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
