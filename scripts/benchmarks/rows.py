"""What is compared: each row of the table names two sides, the unit and the target."""

from dataclasses import dataclass

METHODS = (  # the same as brushwork.saliency.methods.METHODS, whose import would make --help wait for torch
    *("gradient", "smoothgrad", "input_x_gradient", "integrated_gradients"),
    *("guided_backprop", "gradcam", "occlusion"),
)
PREDICTED = ("alexnet", "squeezenet1_1")


@dataclass(frozen=True)
class Row:
    """A line of the table: the figure `unit` of the side `ours`, compared with that of the side `theirs`.

    kind: "faster": the ratio says how many times faster or smaller ours is; "growth": how many times larger;
        "cost": the difference as a share of ours; "alone": no other side.
    reach: the target on a CPU and on a GPU: at least this ratio; for "growth" at most; for "alone" the highest figure.
    """

    group: str
    name: str
    ours: str
    theirs: str | None
    unit: str
    kind: str = "faster"
    reach: tuple[float | None, float | None] = (None, None)


ROWS = (
    Row("steady", "training, bf16", "warm, bf16", "bare step, bf16", "images/s", reach=(0.90, 0.85)),
    Row("steady", "training, fp32", "warm, fp32", "bare step, fp32", "images/s", reach=(0.90, 0.85)),
    Row("full", "5 epochs warm, bf16", "warm, bf16", "plain loop", "s", reach=(2.4, 15)),
    Row("full", "5 epochs warm, fp32", "warm, fp32", "plain loop", "s", reach=(1.4, None)),
    Row("full", "5 epochs cold, bf16", "cold, bf16", "plain loop", "s", reach=(1.8, 4)),
    Row("full", "5 epochs warm, fp32", "warm, fp32", "Lightning's defaults", "s"),
    Row("full", "peak anonymous memory, warm, fp32", "warm, fp32", "plain loop", "MB"),
    Row("full", "an epoch of 4000 paintings, warm, bf16", "warm, bf16", None, "s per 4000", "alone", (None, 0.5)),
    Row("full", "filling the painting store", "store", None, "paintings/s", "alone"),
    Row("head_only", "5 epochs cold, head_only", "cold, head_only", "plain loop, head_only", "s", reach=(4, 10)),
    Row("start", "train.py --help", "--help", "imports", "s"),
    Row("start", "train.py to the first step", "first step", "imports", "s"),
    Row("saliency", "VGG-16, predicted class", "saliency", "captum", "maps/s", reach=(1.7, 1.7)),
    *(
        Row("methods", f"{method}, SqueezeNet", f"our {method}", f"captum's {method}", unit)
        for unit in ("maps/s", "MB")
        for method in METHODS
    ),
    *(
        Row(
            "predict",
            f"predict.py, {name}",
            f"predict, {name}",
            f"plain predictions, {name}",
            "pictures/s",
            reach=(2, 2),
        )
        for name in PREDICTED
    ),
    Row("memory", "peak anonymous memory", "store of 20,000", "store of 2,000", "MB", "growth", (1.2, 1.2)),
    Row("extras", "both checkpoints, 5 epochs, bf16", "with checkpoints", "warm, bf16", "s", "cost"),
    Row("extras", "dashboard and panels, 5 epochs, bf16", "with pictures", "warm, bf16", "s", "cost"),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))
