"""The page on which a person drops a painting and sees the answer. Imports `inference`, `saliency`, `models`.

`answers` has the values, `texts` the words, `page` the layout and the server; Gradio is imported by `page` alone.
"""
