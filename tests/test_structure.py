"""The structure of the source, read from its imports: layers, circles, first lines, sizes."""

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SOURCE = REPOSITORY / "src" / "brushwork"
MOST_LINES = 300
# What a folder's files may import of the others; the foundation (files directly under `brushwork`) is open to all.
MAY_IMPORT = {
    "": set(),
    "paintings": {"paintings"},
    "models": {"models"},
    "saliency": {"saliency", "models"},
    "study": {"study"},
    "inference": {"inference", "paintings", "models", "saliency"},
    "export": {"export", "inference", "paintings", "models", "saliency", "study"},
    "app": {"app", "inference", "paintings", "models", "saliency"},
    "training": {"training", "paintings", "models", "saliency"},
}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_folders(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(parsed(path)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "brushwork" and len(parts) > 1 and parts[1] in MAY_IMPORT:
                found.add(parts[1])
    return found


def test_who_imports_whom() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 15
    for path in files:
        place = path.relative_to(SOURCE).parts
        folder = "training" if place == ("__main__.py",) else place[0] if len(place) > 1 else ""
        assert imported_folders(path) <= MAY_IMPORT[folder], path


def imported_at_once(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is imported: not those of functions, nor of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from imported_at_once(ast.Module([other], []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imported_at_once(child)


def module_graph(source: Path) -> dict[str, set[str]]:
    """Which modules of a package each of its modules imports at once."""
    files = {path: [source.name, *path.relative_to(source).with_suffix("").parts] for path in source.rglob("*.py")}
    modules = {".".join(parts).removesuffix(".__init__"): path for path, parts in files.items()}
    graph = {}
    for module, path in modules.items():
        names = set()
        for node in imported_at_once(parsed(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            else:
                folder = files[path][: len(files[path]) - node.level] if node.level else []
                base = ".".join([*folder, *([node.module] if node.module else [])])
                submodules = {f"{base}.{alias.name}" for alias in node.names}
                names |= (submodules & modules.keys()) or {base}
        graph[module] = names & modules.keys()
    return graph


def test_imports_have_no_circle() -> None:
    graph = module_graph(SOURCE)
    assert graph["brushwork.training.job"]  # it sees imports at all
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


def test_a_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "inner/__init__.py").write_text("")
    (package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import package.one\n"
    )
    (package / "one.py").write_text("def later():\n    from package.inner import two\n")
    (package / "inner/two.py").write_text("try:\n    from .. import one\nexcept ImportError:\n    pass\n")
    graph = module_graph(package)
    assert graph["package.inner.two"] == {"package.one"}
    graphlib.TopologicalSorter(graph).prepare()
    (package / "one.py").write_text("from package.inner import two\n")
    parsed.cache_clear()
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(module_graph(package)).prepare()


def test_no_file_is_too_long() -> None:
    paths = [REPOSITORY / "train.py", *SOURCE.parent.rglob("*.py"), *(REPOSITORY / "scripts").rglob("*.py")]
    lines = {str(path.relative_to(REPOSITORY)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert not {name: number for name, number in lines.items() if number > MOST_LINES}


def test_each_folder_has_a_docstring() -> None:
    folders = {path.parent for path in [*SOURCE.rglob("*.py"), *(REPOSITORY / "scripts/benchmarks").rglob("*.py")]}
    for folder in folders:
        assert ast.get_docstring(parsed(folder / "__init__.py")), folder


def test_each_file_states_its_job() -> None:
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(parsed(path)), path


def test_no_module_for_odds_and_ends() -> None:
    names = {path.stem for path in SOURCE.rglob("*.py")}
    assert names.isdisjoint({"utils", "helpers", "common", "misc"})
