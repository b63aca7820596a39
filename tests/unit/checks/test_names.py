"""A class's name means one thing: who reads it need not look which module it is from."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import fleetlake

SOURCES = Path(fleetlake.__file__).parent


def test_no_class_name_stands_twice() -> None:
    modules = defaultdict[str, list[str]](list)
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(str(path.relative_to(SOURCES)))
    assert len(modules) > 300
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
