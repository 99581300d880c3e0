"""How a run goes, from settings to result: configuration, callbacks (record, dashboard, progress), sweeps, launchers.

The one place where `paintings`, `models` and `saliency` meet.
"""
