"""Fine-tune or train from scratch? The runs of that experiment (grid), their arms compared in pairs (pairs), and the
report's three questions answered (document, figure). Imports the rest of `study` and the foundation."""
