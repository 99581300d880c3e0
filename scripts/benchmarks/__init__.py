"""The parts of scripts/benchmark.py: the rows, their sides, the measurement and the report.

`plain`, `ours` and `maps` are imported only in the process of a side, so that no side pays for another's imports.
"""
