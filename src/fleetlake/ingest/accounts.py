"""The digest that the native ingest keeps of a bronze table: what each of its commits has to say of it."""

from __future__ import annotations

from dataclasses import replace

from pyiceberg.table import Table as IcebergTable

from fleetlake.ingest.offsets import IngestMarker
from fleetlake.lake.catalog import row_count
from fleetlake.lake.digest import NO_ROWS, Account, Digest


def account_of(table: IcebergTable) -> Account | None:
    """The account of a table as it was loaded.

    None if there is none, or if an ingest that keeps none (an earlier version, Spark) has written the table since.
    """
    account, marker = Account.of(table.properties), IngestMarker.of(table.properties)
    return account if account and marker and account.commit_id == marker.commit_id else None


def begun_account(table: IcebergTable, marker: IngestMarker) -> dict[str, str]:
    """Properties for the commit that takes `table` over under `marker`: its account goes on, or one begins.

    The rows that a table without an account has are not read for it, which might take hours: what is counted begins at the marker's
    offsets then.
    """
    account = account_of(table)
    if account is not None:
        return replace(account, commit_id=marker.commit_id).properties()
    since = dict(marker.next) if row_count(table) else None
    return Account(NO_ROWS, marker.commit_id, since).properties(begins=True)


def following_account(table: IcebergTable, marker: IngestMarker, added: Digest = NO_ROWS) -> dict[str, str]:
    """Properties for a commit on `table` as it was loaded that adds the rows of `added`; none if it has no account."""
    account = account_of(table)
    return replace(account, digest=account.digest + added, commit_id=marker.commit_id).properties() if account else {}
