"""Imported first by each script: one line that says what to do where Brushwork is not installed."""

import sys
from importlib.util import find_spec

if find_spec("brushwork") is None:
    sys.exit("error: brushwork is not installed: run make install, then .venv/bin/python ...; or pip install .")
