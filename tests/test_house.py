"""The rules of the house, read off the imports."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "brushwork"
WINGS = {"paintings", "transfer", "saliency", "study"}
MAY_IMPORT = {"": set(), "paintings": {"paintings"}, "saliency": {"saliency"}, "study": {"study"}, "transfer": WINGS}


def imported_wings(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "brushwork" and len(parts) > 1 and parts[1] in WINGS:
                found.add(parts[1])
    return found


def test_who_imports_whom() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 15
    for path in files:
        place = path.relative_to(SOURCE).parts
        wing = place[0] if len(place) > 1 else ""
        assert imported_wings(path) <= MAY_IMPORT[wing], path


def test_each_file_states_its_job() -> None:
    for path in SOURCE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in SOURCE.rglob("*.py")}
    assert names.isdisjoint({"utils", "helpers", "common", "misc"})
