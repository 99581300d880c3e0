"""Part B: what in a picture a network looks at. Pure tensors, called by a callback and by a script."""
