"""fleetlake adopt: a copied lake becomes a lake of its own."""

from __future__ import annotations


def adopt() -> None:
    """Makes a copied lake (cp -r, a backup beside the original) one of its own: its own id, the paths to its own files.

    Until then a copy is only read, and what is read are the original's files. The original is not touched. Refused with exit code 2
    for a lake that is its own already and for a warehouse that another lake uses: two lakes never share one. Cut off, it has done
    nothing or all; run it again. A lake that was moved needs no command: the next one finds it out.

    Example: cp -r .fleetlake /backup/lake && fleetlake --home /backup/lake adopt
    """
    from fleetlake.config.wiring import adopt_lake, load_settings

    print(f"lake {adopt_lake(load_settings())} is its own now")
