"""Finished runs, compared: arms, tests, pages, figures. Reads run folders only; imports the foundation."""
