"""The command `brushwork`: brushwork train ..., brushwork saliency ..., the same as train.py and the scripts."""

import ast
import runpy
import sys
from pathlib import Path

from brushwork.errors import unknown


def commands() -> dict[str, Path]:
    """The scripts by the names of their commands: check-data for check_data.py."""
    package = Path(__file__).parent
    clone = package.parents[1] / "scripts"  # of which an installed package has a copy
    found = sorted((clone if clone.is_dir() else package / "scripts").glob("*.py"))
    return {path.stem.replace("_", "-"): path for path in found if path.stem != "installed"}


def usage() -> str:
    lines = ["usage: brushwork COMMAND ...", "", "  train                fine-tune a classifier on paintings"]
    for name, path in commands().items():
        summary = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
        lines.append(f"  {name:<20} {summary.partition(' python scripts/')[0].rstrip(':')}")
    return "\n".join([*lines, "", "brushwork COMMAND --help says more."])


def main() -> None:
    """Run the command that sys.argv names."""
    name, arguments = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in ("-h", "--help"):
        print(usage())
    elif name == "train":
        from brushwork.training import command

        sys.argv = [command.__file__, *arguments]  # what Lightning starts again for DDP
        command.main()
    elif name in commands():
        path = commands()[name]
        sys.path.insert(0, str(path.parent))  # as python does for a script
        sys.argv = [f"brushwork {name}", *arguments]
        runpy.run_path(str(path), run_name="__main__")
    else:
        sys.exit(f"error: {unknown('command', name, ['train', *commands()])}")


if __name__ == "__main__":
    main()
