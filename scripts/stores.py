"""List or clear the caches of decoded paintings and of features: python scripts/stores.py"""

import argparse
import time
from typing import TYPE_CHECKING

import installed  # noqa: F401
from brushwork.errors import unknown
from brushwork.terminal import exit_with

if TYPE_CHECKING:
    from brushwork.row_store import Listed

EPILOG = """\
examples:
  python scripts/stores.py                                  list them
  python scripts/stores.py --clear pictures-788116f74b889bc1
  python scripts/stores.py --clear all

Training caches each painting, decoded and resized (pictures), and with tuning=head_only its features of the frozen
network (features; each seed of random weights is another network); the app and predict.py --similar keep those of a
trained network (training-paintings). Rows of removed or changed paintings stay until
the store is cleared; cleared rows are computed again when needed. data.store=off disables it, and BRUSHWORK_CACHE
names another folder.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="stores.py",
        description="List or clear the painting stores and frozen features that training keeps.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--clear", nargs="+", metavar="NAME", help="remove these, or all")
    return parse


def main() -> int:
    arguments = parser().parse_args()

    from brushwork import row_store  # imports torch, which --help does not need

    found = row_store.listed()
    if arguments.clear:
        by_name = {store.folder.name: store for store in found}
        names = by_name if "all" in arguments.clear else arguments.clear
        for name in names:
            if name not in by_name:
                raise unknown("store", name, [*by_name, "all"])
        for name in names:
            row_store.clear(by_name[name].folder)
            print(f"removed {name}, {row_store.size_of(by_name[name].bytes)}")
        return 0
    for store in found:
        print(describe(store, row_store.size_of(store.bytes)))
    print(f"{len(found)} stores, {row_store.size_of(sum(store.bytes for store in found))}: {row_store.stores_folder()}")
    return 0


def describe(store: "Listed", size: str) -> str:
    """A store in two lines: name, rows and size; then its content."""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.used))
    known = ("image_size", "resize", "network", "precision", "device", "root")
    what = [str(store.about[key]) for key in known if key in store.about]
    return f"{store.folder.name}  {store.rows:,} rows  {size}  used {used}\n  {', '.join(what) or 'damaged'}"


if __name__ == "__main__":
    exit_with(main)
