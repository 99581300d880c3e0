"""Getting WikiArt: sources (Hugging Face, folders, catalogues of URLs), the download, the list of what was stored.

Imports `paintings` and the foundation.
"""
