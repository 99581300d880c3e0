"""How maps are shown: a picture, a folder of results, a gallery page. Imports the foundation and `saliency`."""
