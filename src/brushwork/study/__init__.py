"""Reads finished runs, and draws what they show. Sees run folders, never live objects."""
