"""Classes by number, name, WordNet's number and synonyms; names from files as people write them."""

import json
from pathlib import Path

import pytest
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import class_names

IMAGENET = models.ResNet50_Weights.IMAGENET1K_V2.meta["categories"]
THREE = ["Abstract Expressionism", "Baroque", "Cubism"]


def index_of(target: str) -> int:
    return class_names.index_of(target, IMAGENET, "resnet50")


def test_the_table_of_imagenet_is_torchvisions() -> None:
    """Each class has its own name of torchvision's among its synonyms, and WordNet's numbers ascend, as in ImageNet."""
    synonyms = class_names._synonyms()
    numbers = [name for name in synonyms if name[0] == "n" and name[1:].isdigit()]
    assert len(numbers) == 1000
    assert numbers == sorted(numbers)
    assert [synonyms[number] for number in numbers] == [[index] for index in range(1000)]
    torchvisions_own = {134: "crane bird", 639: "maillot tank suit"}  # to tell them from two others
    for index, name in enumerate(IMAGENET):
        if index in torchvisions_own:
            assert name == torchvisions_own[index]
        else:
            assert index in synonyms[class_names._spelled(name)]


@pytest.mark.parametrize(
    ("target", "index"),
    [
        ("n02123045", 281),
        ("n02123045_tabby", 281),
        ("n02110185", 250),
        ("tiger cat", 282),
        ("tiger_cat", 282),
        ("Siberian husky", 250),
        ("siberian-husky", 250),
        ("tabby cat", 281),
        ("Canis lupus", 269),
        ("husky", 248),  # WordNet's other name of an Eskimo dog
        ("puma", 286),
        ("Cardigan", 264),
        ("cardigan", 474),
        ("crane", 517),
        ("Shih Tzu", 155),
        ("n15075141", 999),
        ("7", 7),
    ],
)
def test_a_class_of_imagenet(target: str, index: int) -> None:
    assert index_of(target) == index


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("n00004475", "n00004475 is none of the 1000 classes of resnet50"),
        ("grass snake", "grass snake is the name of classes 55 and 57: give the number"),
        ("panther", "panther is the name of classes 286 and 290"),
        ("n0212304", "unknown class of resnet50 'n0212304'"),
        ("1000", "class 1000 is out of range"),
    ],
)
def test_no_class_of_imagenet(target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        index_of(target)


def test_synonyms_are_imagenets_alone() -> None:
    with pytest.raises(UserError, match="unknown class of mine 'n02123045'"):
        class_names.index_of("n02123045", THREE, "mine")
    assert class_names.index_of("abstract_expressionism", THREE, "mine") == 0


@pytest.mark.parametrize(
    "text",
    [
        "Abstract Expressionism\nBaroque\nCubism\n",
        "\ufeffAbstract Expressionism\r\n\r\nBaroque\r\nCubism",
        "0 Abstract Expressionism\n1 Baroque\n2 Cubism\n",
        "2 Cubism\n0 Abstract Expressionism\n1 Baroque\n",
        "1,Abstract Expressionism\n2,Baroque\n3,Cubism\n",
        "/a/Abstract Expressionism 0\n/b/Baroque 1\n/c/Cubism 2\n",
        json.dumps(THREE),
        json.dumps(dict(enumerate(THREE)), indent=4),
        json.dumps({name: index for index, name in enumerate(THREE)}),
        json.dumps({str(index): [f"n0000000{index}", name] for index, name in enumerate(THREE)}),
        "{0: 'Abstract Expressionism',\n 1: 'Baroque',\n 2: 'Cubism'}",
    ],
)
def test_names_in_a_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert class_names.read(path, 3) == THREE


def test_names_that_end_in_numbers_are_names(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("style 1\nstyle 2\nstyle 3\n")
    assert class_names.read(path, 3) == ["style 1", "style 2", "style 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Baroque\nCubism\n", r"names 2 classes, but the network has 3: one name a line"),
        (b"", "names 0 classes"),
        (b"{'a': {'b': 1}}", "is no list or dictionary of class names"),
        (b"[[], 1, 2]", "is no list or dictionary"),
        (b"[1, 2", "is no list or dictionary"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_no_names_in_a_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"classes\.txt {message}"):
        class_names.read(path, 3)
    with pytest.raises(UserError, match="there is no file"):
        class_names.read(tmp_path / "none.txt", 3)


@pytest.mark.parametrize(
    "text", ['{"0": "no", "1": "010", "2": "true"}', "[no, 010, true]", "0: 'no',\n1: '010',\n2: 'true'"]
)
def test_names_stay_text(tmp_path: Path, text: str) -> None:
    """YAML takes such words for booleans and numbers."""
    (tmp_path / "names").write_text(text)
    assert class_names.read(tmp_path / "names", 3) == ["no", "010", "true"]


def test_what_looks_like_a_number_or_a_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown class of resnet50 '--5'"):
        index_of("--5")
    (tmp_path / "names").write_text("[" * 5000)
    with pytest.raises(UserError, match="is no list or dictionary of class names"):
        class_names.read(tmp_path / "names", 3)
