"""Fine-tune or train from scratch? The runs of that experiment (grid), their arms compared in pairs (pairs), and the
report's three questions answered (answers, tables, figure). Imports the rest of `study` and the foundation."""
