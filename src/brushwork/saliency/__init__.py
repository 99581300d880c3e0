"""Saliency maps: what in a picture supports a class. Each method by its name, (model, images, targets) to maps.

>>> maps = saliency.gradient(network, images, targets)  # doctest: +SKIP

The methods (`maps`, `methods`, `layers`) need torch and torchvision only; the callback, photos, `display` and
`evaluation` import `models` and the foundation.
"""

from brushwork.saliency.layers import gradcam, guided_backprop
from brushwork.saliency.maps import class_saliency, gradient
from brushwork.saliency.methods import METHODS, input_x_gradient, integrated_gradients, occlusion, smoothgrad

__all__ = ["METHODS", "class_saliency", "gradcam", "gradient", "guided_backprop", "input_x_gradient"]
__all__ += ["integrated_gradients", "occlusion", "smoothgrad"]
