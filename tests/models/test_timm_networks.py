"""Networks of timm: names, sizes, weights from files and the hub's cache, heads, stages, maps."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from brushwork import downloads
from brushwork.errors import UserError
from brushwork.models import backbones, misfits, predictor, stages, tuning, weight_files, weights
from brushwork.models.classifier import StyleClassifier
from brushwork.models.modes import freeze
from brushwork.saliency import methods
from brushwork.training import job as jobs

timm = pytest.importorskip("timm", reason="timm is not installed: pip install '.[timm]'")

VIT, CONVNEXT, EFFICIENTNET = "timm:test_vit3.r160_in1k", "timm:test_convnext.r160_in1k", "timm:test_efficientnet"


def model(architecture: str = VIT, **options: Any) -> StyleClassifier:
    return StyleClassifier(architecture, "replace_last", 3, **{"weights": None, "image_size": 64} | options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("timm:test_vti3", "unknown model.architecture 'timm:test_vti3': did you mean 'timm:test_vit3'"),
        ("timm:test_vit3.r224_in1k", r"did you mean 'timm:test_vit3\.r160_in1k'"),
        ("test_vit3", "is a network of timm: use model.architecture=timm:test_vit3"),
    ],
)
def test_unknown_names_suggest_the_nearest(given: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model(given)


def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"need timm: pip install '\.\[timm\]'"):
        model()
    with pytest.raises(UserError, match=r"unknown model\.architecture 'resnet81': did you mean 'resnet18'"):
        backbones.check("resnet81")


def test_normalisation_and_size_are_the_weights_own() -> None:
    theirs = timm.data.resolve_data_config(pretrained_cfg=timm.models.get_pretrained_cfg("test_vit3").to_dict())
    ours = backbones.preprocessing(VIT)
    assert (3, ours.image_size, ours.image_size) == theirs["input_size"]
    assert (ours.mean, ours.std) == (theirs["mean"], theirs["std"])
    clip = backbones.preprocessing("timm:vit_base_patch16_clip_224.openai")
    assert clip.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)


@pytest.mark.parametrize(
    ("architecture", "size", "message"),
    [
        (VIT, 60, "patches of 16 pixels: use a multiple, 48 or 64"),
        (VIT, 5, "use a multiple, 16$"),
        ("timm:vit_small_patch14_dinov2.lvd142m", 225, "use a multiple, 224 or 238"),
        (CONVNEXT, 20, "is too small for test_convnext.r160_in1k: it needs at least 32"),
    ],
)
def test_sizes_that_a_network_cannot_take(architecture: str, size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        backbones.preprocessing(architecture, size)


def test_a_transformer_is_built_for_the_size_of_the_pictures() -> None:
    small = model()
    assert small.network.pos_embed.shape[1] < timm.create_model("test_vit3").pos_embed.shape[1]
    assert small.preprocessing_for(None, "crop").image_size == 64
    with pytest.raises(UserError, match=r"built for 64 pixels: StyleClassifier\(\.\.\., image_size=160\)"):
        small.preprocessing_for(160, None)
    assert model(CONVNEXT).preprocessing_for(96, None).image_size == 96


@pytest.mark.parametrize(
    ("architecture", "width"), [(VIT, 96), (CONVNEXT, 64), (EFFICIENTNET, 256), ("timm:test_resnet", 96)]
)
def test_heads_and_what_is_trained(architecture: str, width: int) -> None:
    counts = []
    for chosen in tuning.TUNINGS[:4]:
        made = model(architecture, tuning=chosen)
        assert isinstance(made.new_layer, nn.Linear)
        assert (made.new_layer.in_features, made.new_layer.out_features) == (width, 3)
        assert made.new_layer is made.network.get_classifier()
        counts.append(tuning.count(made.trained_parameters))
        tuning.set_train_mode(made.network, made.new_layer, chosen)
        own = {id(parameter) for parameter in made.trained_parameters}
        for part in made.network.modules():
            if part is not made.network and (parameters := list(part.parameters(recurse=False))):
                assert part.training == (id(parameters[0]) in own)
    assert counts[0] == 3 * (width + 1)
    assert counts[0] <= counts[1] < counts[2] < counts[3] == tuning.count(list(made.network.parameters()))


def test_upper_trains_a_transformers_last_block() -> None:
    made = model(tuning="upper")
    last = made.network.blocks[-1], made.network.norm, made.network.attn_pool, made.network.fc_norm, made.new_layer
    expected = [parameter for part in last for parameter in part.parameters()]
    assert {id(parameter) for parameter in made.trained_parameters} == {id(parameter) for parameter in expected}


def test_two_layers_are_refused() -> None:
    with pytest.raises(UserError, match="timm's networks have one: use head=replace_last"):
        StyleClassifier(VIT, "replace_two", 3, weights=None)


def test_a_network_of_two_classifiers_is_refused() -> None:
    with pytest.raises(UserError, match="is 2 layers and no single linear layer"):
        StyleClassifier("timm:deit_tiny_distilled_patch16_224", "replace_last", 3, weights=None)


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor], but: tuple[str, ...]) -> bool:
    return all(torch.equal(ours[key], theirs[key]) for key in theirs if not key.startswith(but))


@pytest.mark.parametrize("extension", [".safetensors", ".pth", " wrapped.pth"])
@pytest.mark.parametrize(("architecture", "head"), [(VIT, "head"), (CONVNEXT, "head.fc")])
def test_weights_from_a_file(architecture: str, head: str, extension: str, tmp_path: Path) -> None:
    theirs = backbones.build(architecture).state_dict()
    path = tmp_path / f"weights{extension}"
    if extension == ".safetensors":
        safetensors.torch.save_file(theirs, path)
    else:
        wrapped = {"state_dict": {f"module.{key}": value for key, value in theirs.items()}}
        torch.save(wrapped if "wrapped" in extension else theirs, path)
    ours = model(architecture, weights=str(path), image_size=None)
    assert same(ours.network.state_dict(), theirs, (f"{head}.",))
    if architecture == VIT:  # position embeddings of another grid, as timm's own loader makes them
        expected = timm.create_model(
            "test_vit3", pretrained=True, img_size=64, pretrained_cfg_overlay={"state_dict": dict(theirs)}
        )
        assert same(model(weights=str(path)).network.state_dict(), expected.state_dict(), ("head.",))


def test_the_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misfits.backbones, "architectures", lambda: ["resnet18"])  # all take seconds
    torch.save(backbones.build(CONVNEXT).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth does not fit VisionTransformer"):
        model(weights=str(tmp_path / "weights.pth"))


def test_weights_without_classifier(tmp_path: Path) -> None:
    """As DINOv2's and DINOv3's files."""
    theirs = timm.create_model("vit_tiny_patch16_dinov3_qkvb", num_classes=0, depth=2).state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    network = timm.create_model("vit_tiny_patch16_dinov3_qkvb", num_classes=0, depth=2)
    weights.load(network, tmp_path / "weights.pth", weight_files.read_file(tmp_path / "weights.pth"), ["head"])
    assert same(network.state_dict(), theirs, ())


def test_offline_one_line_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))

    def unreachable(url: str) -> None:
        raise TimeoutError("no answer in 10 s")

    monkeypatch.setattr(downloads, "wait_for_answer", unreachable)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"model.safetensors of .*/timm/test_vit3.r160_in1k .*no answer") as error:
        model(weights="pretrained")
    assert time.monotonic() - started < 10
    assert "\n" not in str(error.value)
    assert "model.weights=PATH" in str(error.value)


def test_weights_in_the_hubs_cache_need_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--test_vit3.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    theirs = backbones.build(VIT).state_dict()
    safetensors.torch.save_file(theirs, folder / "snapshots" / ("a" * 40) / "model.safetensors")
    ours = model(weights="imagenet", image_size=None)
    assert same(ours.network.state_dict(), theirs, ("head.",))
    own = predictor.imagenet(VIT, "pretrained")
    assert own.class_names[:1] == ["tench"]
    assert own.head is own.network.head


def test_stages_are_the_last_blocks_class_token_and_mean_patch() -> None:
    network = freeze(backbones.build(VIT, image_size=64))
    images, seen = torch.randn(2, 3, 64, 64), []
    network.blocks[-1].register_forward_hook(lambda *passed: seen.append(network.norm(passed[2])))
    found = stages.StagesClassifier(network, "upper", 3, 64).eval().features(images)
    tokens, prefix = seen[-1], network.num_prefix_tokens
    expected = torch.cat([tokens[:, 0], tokens[:, prefix:].mean(1)], 1)
    assert found.shape == (2, 4 * 2 * 96)
    assert torch.allclose(found[:, -2 * 96 :], expected, atol=1e-5)


@pytest.mark.parametrize("architecture", [VIT, CONVNEXT, EFFICIENTNET, "timm:test_resnet"])
def test_gradcam_and_a_probes_stages(architecture: str) -> None:
    made = model(architecture)
    images = torch.randn(2, 3, 64, 64)
    assert methods.METHODS["gradcam"](freeze(made.network), images, [0, 1]).shape == (2, 64, 64)
    probed = model(architecture, tuning="probe").eval()
    maps = methods.METHODS["gradcam"](freeze(probed.network), images, [0, 1])
    assert probed(images).shape == (2, 3)
    assert maps.shape == (2, 64, 64)


def test_gradcam_of_tokens_is_that_of_the_patches_grid() -> None:
    """By hand, from the gradient at what the last attention reads."""
    network, seen = freeze(model().network), []
    images = torch.randn(1, 3, 64, 64, requires_grad=True)
    hook = network.blocks[-1].norm1.register_forward_hook(lambda *passed: seen.append(passed[2]))
    score = network(images)[0, 1]
    hook.remove()
    (gradient,) = torch.autograd.grad(score, seen[0])
    patches = slice(network.num_prefix_tokens, None)
    coarse = (seen[0][:, patches] * gradient[:, patches].mean(1, keepdim=True)).sum(2).relu().view(1, 1, 4, 4)
    expected = nn.functional.interpolate(coarse, (64, 64), mode="bilinear")[:, 0].detach()
    found = methods.METHODS["gradcam"](network, images.detach(), [1])
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-7 + 1e-4 * float(expected.max()))


def test_a_checkpoint_opens_without_weights_and_at_its_size(make_job: Any) -> None:
    """A transformer goes through training, is opened again, and keeps its features."""
    made = make_job(
        "model=timm", "model.architecture=test_vit3", "model.weights=null", "data.image_size=32", "trainer.max_epochs=1"
    )
    assert made.resolved["model"]["architecture"] == "timm:test_vit3"
    jobs.run_job(made)
    best = made.folder / "checkpoints" / "best.ckpt"
    again = StyleClassifier.load_from_checkpoint(best)
    assert again.network.pos_embed.shape[1] < 10
    assert again.preprocessing.image_size == 32
    larger = StyleClassifier("timm:test_vit3", "replace_last", 3, weights=str(best), image_size=64)
    assert torch.equal(larger.network.norm.weight, again.network.norm.weight)


@pytest.mark.slow
def test_a_transformer_goes_through_the_whole_program(
    run: Any, make_full_job: Any, paintings: Path, tmp_path: Path
) -> None:
    def trained(name: str, *options: str) -> Path:
        common = "model=timm", "model.architecture=test_vit3", "model.weights=null", "keep_last=true"
        made = make_full_job(*common, *options, folder=name)
        jobs.run_job(made)
        return made.folder

    whole = trained("whole", "trainer.max_epochs=2")
    half = trained("half", "trainer.max_epochs=1")
    resumed = trained("resumed", "trainer.max_epochs=2", f"ckpt_path={half / 'checkpoints/last.ckpt'}")
    frozen = trained("frozen", "trainer.max_epochs=2", "tuning=head_only")
    probe = trained("probe", "tuning=probe")
    states = [torch.load(folder / "checkpoints/last.ckpt")["state_dict"] for folder in (whole, resumed)]
    assert same(states[0], states[1], ())
    best = whole / "checkpoints/best.ckpt"
    for script, *arguments in (
        ["predict", best, paintings],
        ["export", best, "--out", "export", "--format", "onnx,safetensors"],  # refuses other answers than torch's
        ["saliency", paintings / "Dots", "--model", best, "--method", "gradient,gradcam", "--out", "maps"],
        ["compare", whole, frozen, probe, "--out", "compared"],
    ):
        code, _, error = run(script, *arguments)
        assert not code, error
    exported, ours = (StyleClassifier.load_from_checkpoint(path) for path in (tmp_path / "export", best))
    assert same(exported.state_dict(), ours.state_dict(), ())
