"""Is a map to be believed? Faithfulness, localisation, weight randomisation, agreement between maps.

Imports the saliency methods, `models` and the foundation.
"""
