"""The page on which a person drops a painting and sees the answer. Imports `inference`, `saliency`, `models`."""
