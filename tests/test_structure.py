"""The structure of the source, read from its imports: layers, first lines, sizes."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "brushwork"
MOST_LINES = 300
# What a folder's files may import of the others; the foundation (files directly under `brushwork`) is open to all.
MAY_IMPORT = {
    "": set(),
    "paintings": {"paintings"},
    "models": {"models", "paintings"},
    "saliency": {"saliency", "models"},
    "study": {"study"},
    "training": {"training", "paintings", "models", "saliency"},
}


def imported_folders(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
        folder = place[0] if len(place) > 1 else ""
        assert imported_folders(path) <= MAY_IMPORT[folder], path


def test_each_file_states_its_job() -> None:
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_no_module_for_odds_and_ends() -> None:
    names = {path.stem for path in SOURCE.rglob("*.py")}
    assert names.isdisjoint({"utils", "helpers", "common", "misc"})
