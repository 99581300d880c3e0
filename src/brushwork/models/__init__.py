"""What a network is: torchvision's and timm's backbones, weights, heads, tuning, features, LightningModule, files.

Imports the foundation, and of `paintings` the batch that the data module makes.
"""
