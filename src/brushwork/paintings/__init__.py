"""From image files to batches: catalogue, splits, baselines, augmentation, the demo paintings."""
