"""From the names in a file to a network's: whatever wraps them, whichever network, and never a guess."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.models import DenseNet, VisionTransformer, densenet

from brushwork.errors import UserError
from brushwork.models import backbones, fitting, misfits
from tests.conftest import REPOSITORY

State = dict[str, Tensor]
CONFIGURED = {path.stem for path in (REPOSITORY / "conf/model").glob("*.yaml")}


def old_form(architecture: str, state: State) -> State:
    """As torchvision's files are: without counters of batches, and with the keys of their time."""
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    if architecture.startswith("densenet"):
        return {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in state.items()
        }
    if architecture.startswith("vit_"):
        return {key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): state[key] for key in state}
    return state


@pytest.mark.parametrize("architecture", backbones.architectures())
def test_every_network_takes_a_file_of_torchvisions(architecture: str) -> None:
    """On the meta device: each tensor finds its place. The configured ones also wrapped, and without a last layer."""
    wanted, last = misfits.keys_and_shapes(architecture)
    file = old_form(architecture, wanted)
    wrapped = {f"state_dict/module.{key}": value for key, value in file.items() if key not in last}
    for content, replaced in [(file, ()), (wrapped, last)] if architecture in CONFIGURED else [(file, ())]:
        state, _ = fitting.fit(content, wanted, last, replaced)
        assert state.keys() == wanted.keys() - set(replaced)
        assert all(state[key] is wanted[key] for key in state if not key.endswith("num_batches_tracked"))


def test_a_large_network_takes_no_memory_to_know_its_shapes() -> None:
    before = torch.get_rng_state()
    wanted, _ = misfits.keys_and_shapes("vit_h_14")
    assert sum(value.numel() for value in wanted.values()) > 600e6
    assert sum(value.numel() for value in wanted.values() if value.device.type != "meta") < 1e6
    assert wanted["encoder.pos_embedding"].shape[1] == 37 * 37 + 1  # torchvision's weights are for 518 pixels
    assert torch.equal(torch.get_rng_state(), before)


def test_densenet_is_renamed_as_torchvision_does(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    file = old_form("densenet121", DenseNet(4, (2, 1), 8, num_classes=5).state_dict())
    theirs = DenseNet(4, (2, 1), 8, num_classes=5)

    class Weights:
        def get_state_dict(self, **options: bool) -> State:
            return dict(file)

    densenet._load_state_dict(theirs, Weights(), progress=False)
    state, notes = fitting.fit(file, theirs.state_dict(), ["classifier.weight", "classifier.bias"])
    assert state.keys() == theirs.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())
    assert notes == ["renamed 30 keys as torchvision does", "filled 9 num_batches_tracked"]


def test_a_vision_transformer_is_renamed_as_torchvision_does() -> None:
    size = {"image_size": 32, "patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    file = old_form("vit_b_16", VisionTransformer(**size).state_dict())
    theirs = VisionTransformer(**size)
    theirs.load_state_dict(dict(file))
    state, _ = fitting.fit(file, theirs.state_dict(), ["heads.head.weight", "heads.head.bias"])
    assert all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())


@pytest.fixture(scope="module")
def wanted() -> State:
    """A small network's, with values that differ everywhere."""
    shapes = {
        "stem.weight": (3, 2),
        "body.0.conv.weight": (3, 3),
        "body.0.norm.weight": (3,),
        "body.0.norm.running_mean": (3,),
        "body.0.norm.num_batches_tracked": (),
        "body.1.conv.weight": (3, 3),
        "head.weight": (4, 3),
        "head.bias": (4,),
    }
    torch.manual_seed(0)
    return {key: torch.rand(shape) if shape else torch.tensor(7) for key, shape in shapes.items()}


LAST = ["head.weight", "head.bias"]


def under(prefix: str, state: State, key: str = "") -> State:
    return {prefix + name if name.startswith(key) else name: value for name, value in state.items()}


def twice(state: State) -> State:
    return {key: value * 2 for key, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "notes"),
    [
        (lambda s: s, []),
        (lambda s: under("module.", s), ["dropped module. of 7 keys"]),
        (lambda s: under("_orig_mod.module.net.", s), ["dropped _orig_mod.module.net. of 7 keys"]),
        (lambda s: under("model/state_dict/module.", s), ["took model/state_dict", "dropped module. of 7 keys"]),
        (lambda s: {k.replace("body.", "body.module."): s[k] for k in s}, ["dropped module. of 4 keys"]),
        (lambda s: {k.replace("conv.", "conv._orig_mod."): s[k] for k in s}, ["dropped _orig_mod. of 2 keys"]),
        (lambda s: under("a.b.", under("c/", s, "head"), "body"), ["took c", "dropped a.b. of 4 keys"]),
        (
            lambda s: under("net.", s) | {"criterion.weight": torch.ones(4), "decay": torch.ones(())},
            ["dropped net. of 7 keys", "left out criterion, decay"],
        ),
        (lambda s: {k: s[k] for k in s if "tracked" not in k}, ["filled 1 num_batches_tracked"]),
        (lambda s: under("student.", s) | under("teacher.", s), ["dropped student. of 7 keys"]),  # the same values
        (
            lambda s: (
                under("model/", twice(s)) | under("model_ema/module.", s) | {"model_ema/n_averaged": torch.ones(1)}
            ),
            [
                "preferred model_ema/module., an average of the weights, to model",
                "dropped module. of 7 keys",
                "left out n_averaged",
            ],
        ),
        (
            lambda s: under("state_dict/net.", twice(s)) | under("state_dict/emaNet.", s),
            [
                "preferred state_dict/emaNet., an average of the weights, to state_dict/net.",
                "dropped emaNet. of 7 keys",
            ],
        ),
        (
            lambda s: under("state_dict/", s) | under("current_model_state/", twice(s)),  # Lightning's WeightAveraging
            ["preferred state_dict, an average of the weights, to current_model_state"],
        ),
        (lambda s: {k: s[k].double() for k in s}, ["converted float64 to float32"]),
    ],
)
def test_names_are_matched(wanted: State, wrap: Callable[[State], State], notes: list[str]) -> None:
    state, said = fitting.fit(wrap(wanted), wanted, LAST)
    assert said == notes
    assert state.keys() == wanted.keys()
    for key, value in wanted.items():
        expected = 0 if notes == ["filled 1 num_batches_tracked"] and key.endswith("tracked") else value
        assert torch.equal(state[key].float(), torch.as_tensor(expected).float())


@pytest.mark.parametrize("prefixes", [("student.", "teacher."), ("state_dict/", "best_state_dict/"), ("", "copy.")])
def test_two_networks_are_not_chosen_between(wanted: State, prefixes: tuple[str, str]) -> None:
    both = under(prefixes[0], wanted) | under(prefixes[1], twice(wanted))
    names = [prefix.rstrip("/") or "no name" for prefix in prefixes]
    with pytest.raises(UserError, match=f"holds the weights of 2 such networks, under {names[0]} and {names[1]}: save"):
        fitting.fit(both, wanted, LAST)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {k: s[k] for k in s if k != "stem.weight"},
        lambda s: {k: s[k] for k in s if k != "body.0.norm.running_mean"},
        lambda s: {k: s[k] for k in s if not k.startswith("head")},
        lambda s: s | {"body.2.conv.weight": torch.ones(3, 3)},
        lambda s: s | {"body.0.gate.weight": torch.ones(3)},
        lambda s: under("module.", s) | {"module.body.0.gate.weight": torch.ones(3)},
        lambda s: s | {"stem.weight": torch.ones(2, 3)},
        lambda s: s | {"head.weight": torch.ones(4, 5)},
        # A head of two layers, the first of which alone would fit.
        lambda s: (
            {k: s[k] for k in s if k not in LAST}
            | {"head.0.weight": torch.ones(9, 3), "head.0.bias": torch.ones(9), "head.2.weight": torch.ones(4, 9)}
        ),
        lambda s: {},
    ],
)
def test_another_network_is_refused(wanted: State, change: Callable[[State], State]) -> None:
    with pytest.raises(fitting.Misfit):
        fitting.fit(change(wanted), wanted, LAST)


def test_other_numbers_of_classes(wanted: State) -> None:
    file = wanted | {"head.weight": torch.ones(9, 3), "head.bias": torch.ones(9)}
    state, notes = fitting.fit(file, wanted, LAST)
    assert state["head.weight"] is file["head.weight"]
    assert notes == ["its last layer, head, has 9 classes"]
    with pytest.raises(UserError, match="has a last layer of different numbers of classes: 8 and 9"):
        fitting.fit(file | {"head.bias": torch.ones(8)}, wanted, LAST)


def test_layers_before_the_replaced_one_are_not_left_out() -> None:
    wanted, last = misfits.keys_and_shapes("vgg11")
    file = {key: value for key, value in wanted.items() if key not in last}
    longer = {"classifier.6.0.weight": torch.ones(9, 4096), "classifier.8.weight": torch.ones(5, 9)}
    _, notes = fitting.fit(file | longer, wanted, last, last)
    assert notes[0] == "left out classifier.6, classifier.8"
    with pytest.raises(fitting.Misfit):
        fitting.fit(file | {"classifier.4.weight": torch.ones(4096)}, wanted, last, last)


def test_a_layer_that_is_replaced_may_be_anything(wanted: State) -> None:
    kept = {key: value for key, value in wanted.items() if key not in LAST}
    two_layers = {"head.0.weight": torch.ones(9, 3), "head.0.bias": torch.ones(9), "head.2.weight": torch.ones(4, 9)}
    for file, said in [
        (kept, []),
        (kept | two_layers, ["left out head"]),
        (kept | {"classifier.weight": torch.ones(4, 3)}, ["left out classifier"]),
    ]:
        state, notes = fitting.fit(file, wanted, LAST, LAST)
        assert state.keys() == kept.keys()
        assert notes == [*said, "began without head, since a new layer takes that place"]
    with pytest.raises(fitting.Misfit):
        fitting.fit({key: value for key, value in kept.items() if key != "stem.weight"}, wanted, LAST, LAST)
