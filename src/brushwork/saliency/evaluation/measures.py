"""The measures by which maps are evaluated, by the name of their column in maps.csv, and the baselines."""

from typing import NamedTuple


class Measure(NamedTuple):
    """How a measure is shown, and in which direction a score is better."""

    title: str
    better: str  # "higher", "lower", or "" where it only gives the scale of another measure
    explanation: str  # for readers who don't know the paper

    def gain(self, value: float, other: float) -> float:
        """By how much a value is better than another."""
        return other - value if self.better == "lower" else value - other


MEASURES = {
    "deletion": Measure(
        "deletion",
        "lower",
        "Mean probability of the class while pixels are removed, the most salient ones first. 0 to 1; lower is better. "
        "Petsiuk et al. 2018 (RISE), section 4.1.",
    ),
    "insertion": Measure(
        "insertion",
        "higher",
        "Mean probability of the class while a blurred photo gets its pixels back, the most salient ones first. 0 to "
        "1; higher is better. Petsiuk et al. 2018 (RISE), section 4.1.",
    ),
    "pointing": Measure(
        "pointing game",
        "higher",
        "Whether the map's maximum lies on an annotated object. 0 or 1, a mean is the share of hits; higher is better. "
        "Zhang et al. 2016 (Excitation Backprop), section 4.1.",
    ),
    "energy": Measure(
        "energy on the object",
        "higher",
        "The share of the map's sum that lies on the annotated objects; a uniform map gets the objects' share of the "
        "picture. 0 to 1; higher is better. Wang et al. 2020 (Score-CAM), section 4.3.",
    ),
    "object_share": Measure("object's share", "", "The share of the picture that the annotated objects cover."),
    "box_iou": Measure(
        "box overlap (IoU)",
        "higher",
        "Intersection over union of the box found from the map and the object's true box; 0.5 counts as found. 0 to 1; "
        "higher is better. Everingham et al. 2010 (PASCAL VOC).",
    ),
    "class_contrast": Measure(
        "class contrast",
        "higher",
        "How much the map differs from the map of another class. 0 (the same map) to 2, 1 is nothing in common; higher "
        "is better. After Rebuffi et al. 2020 (There and Back Again), class sensitivity.",
    ),
}
# Maps that depend on neither photo nor network. Scattered holes degrade a photo for a network: the first is good at
# deletion. Photographers centre their subject: the second is good at the rest.
BASELINES = {"random": "a random map", "centre": "a centred Gaussian"}
