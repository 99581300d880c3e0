"""A trained network in other programs: ONNX, torch.export, safetensors, a model card, the Hugging Face hub."""
