"""Image-class saliency maps (Simonyan, Vedaldi, Zisserman 2014): methods on tensors, and the callback that draws them.

`methods` and `maps` import torch only; the callback and the photos import `models` and the foundation.
"""
