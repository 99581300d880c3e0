"""Brushwork: how well does a network trained on photographs learn painting styles?"""

__version__ = "0.1.0"
