"""Finished runs, compared: arms, tests, tables, pages, figures. Reads run folders only; imports the foundation only."""
