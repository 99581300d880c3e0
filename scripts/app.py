"""A page for dropping a painting: its style, what speaks for it, paintings like it: python scripts/app.py RUN"""

import argparse
import threading

import installed  # noqa: F401
from brushwork.terminal import exit_on_signals, exit_with, path, show_log

EPILOG = """\
examples:
  python scripts/app.py logs/demo                           the newest finished run there
  python scripts/app.py logs/.../checkpoints/best.ckpt
  python scripts/app.py logs/demo --no-similar              starts at once
  python scripts/app.py logs/demo --root ~/paintings        where the paintings are now

The page needs no other server and no network; it is for this computer only, unless --host says otherwise. At the first
start the features of the training paintings are computed, by which the most similar ones are found, and kept in the
cache (scripts/stores.py). Needs Gradio: make app, or pip install '.[app]'.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="app.py",
        description="Open a page on which anybody can ask a trained network about a painting.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("run", type=path, metavar="RUN", help="a run folder, a folder of runs, or a checkpoint")
    parse.add_argument("--port", type=int, help="default: 7860, or the next one that is free")
    parse.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets everybody in the network in (%(default)s)")
    parse.add_argument("--no-similar", action="store_true", help="don't look for similar training paintings")
    parse.add_argument("--root", type=path, metavar="DIR", help="the folder of the run's paintings, if it has moved")
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="refuse larger (%(default)s)")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # torch takes seconds to import, which --help and a mistyped option don't need.
    from brushwork.app import page, run

    page.require_gradio()
    checkpoint = run.checkpoint_of(arguments.run)

    from brushwork.app import state
    from brushwork.training import devices

    known = state.load(
        checkpoint,
        devices.choose(arguments.device),
        root=arguments.root,
        similar=not arguments.no_similar,
        max_megapixels=arguments.max_megapixels,
    )
    with exit_on_signals(), page.served(known, arguments.host, arguments.port) as address:
        print(f"the app: {address} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    exit_with(main)
