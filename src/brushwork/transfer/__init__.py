"""Part A: a pretrained classifier, its new head, and the training of both."""
