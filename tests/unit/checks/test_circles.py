"""No module imports itself by way of others, not even within a function: it can be read without the ones above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fleetlake

ROOT = Path(fleetlake.__file__).parent


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Yield the modules that are imported when the code runs, so not those for annotations only."""
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from {full if full in modules else node.module} & modules
        nodes += ast.iter_child_nodes(node)


def test_no_module_imports_itself_by_way_of_others() -> None:
    paths = {module_of(path): path for path in ROOT.rglob("*.py")}
    graph = {name: set(imports_of(ast.parse(path.read_text()), set(paths))) - {name} for name, path in paths.items()}
    assert sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
