"""How trustworthy maps are: faithfulness, localisation, weight randomisation, agreement between maps.

Imports the saliency methods, `models` and the foundation.
"""
