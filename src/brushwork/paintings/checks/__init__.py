"""Can the pictures be trusted? Facts of files, duplicates, findings, and the report of scripts/check_data.py.

Imports `paintings` and the foundation.
"""
