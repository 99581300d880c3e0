"""Paintings: which there are, how they are split, and how they become batches.

`datamodule` is the LightningDataModule; it reads the `catalogue` of style folders, the `splits`, the `store` of decoded
pictures and `augment`. `baselines` and `color_texture` score the same paintings without a network. `demo` paints
pictures where there are none. Imports the foundation only (the modules directly under `brushwork`).
"""
