"""What a network is: torchvision backbones, weights, heads, tuning, features, the LightningModule, checkpoints.

Imports the foundation, and of `paintings` the batch that the data module makes.
"""
