"""How maps are shown: one picture, a folder of results, a gallery page. Imports the foundation and `saliency`."""
