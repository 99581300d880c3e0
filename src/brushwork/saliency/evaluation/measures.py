"""The figures by which a map's trustworthiness is judged, in words: for tables, captions and pages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A figure, for readers who don't know the papers.

    title: a column's head.
    better: "higher", "lower", or "" where it is what another is read beside.
    range: what values it can have.
    meaning: one plain sentence.
    source: paper and section.
    """

    title: str
    better: str
    range: str
    meaning: str
    source: str

    @property
    def arrow(self) -> str:
        """What a column's head says of the direction: ↑, ↓ or nothing.

        >>> MEASURES["deletion"].arrow, MEASURES["insertion"].arrow, MEASURES["object_share"].arrow
        ('↓', '↑', '')
        """
        return {"higher": "↑", "lower": "↓", "": ""}[self.better]


# By the name of a column of a CSV.
MEASURES = {
    "deletion": Measure(
        "deletion",
        "lower",
        "0 to 1",
        "How long the network stays sure of the class while the pixels that the map marks most are taken away first.",
        "Petsiuk et al. 2018 (RISE), section 4.1",
    ),
    "insertion": Measure(
        "insertion",
        "higher",
        "0 to 1",
        "How soon the network becomes sure of the class when a blurred photo gets the most marked pixels back first.",
        "Petsiuk et al. 2018 (RISE), section 4.1",
    ),
    "pointing": Measure(
        "pointing game",
        "higher",
        "0 or 1; a mean is the share of hits",
        "Whether the map's brightest pixel lies on an object that people outlined.",
        "Zhang et al. 2016 (Excitation Backprop), section 4.1",
    ),
    "energy": Measure(
        "energy on the object",
        "higher",
        "0 to 1",
        "The share of the map's brightness that lies on the outlined objects; an even map gets the objects' share of "
        "the picture.",
        "Wang et al. 2020 (Score-CAM), section 4.3",
    ),
    "object_share": Measure(
        "object's share",
        "",
        "0 to 1",
        "The share of the picture that the outlined objects cover: what a map that knows nothing gets as its energy.",
        "",
    ),
    "box_iou": Measure(
        "box overlap (IoU)",
        "higher",
        "0 to 1",
        "How well the box found from the map covers the object's true box, and no more; 0.5 counts as found.",
        "Everingham et al. 2010 (PASCAL VOC)",
    ),
    "class_contrast": Measure(
        "class contrast",
        "higher",
        "0 to 2; 1 is nothing in common",
        "How much the map changes when the network is asked for another class; 0 is the same map whatever the class.",
        "after Rebuffi et al. 2020 (There and Back Again), class sensitivity",
    ),
}
