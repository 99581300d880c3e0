"""What each source candidates and which of it is taken: order, names, parts, styles that are lacking."""

import csv
import gzip
import logging
import os
import re
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value

from brushwork.errors import UserError
from brushwork.paintings import names, styles, table
from brushwork.paintings.wikiart import sources
from brushwork.paintings.wikiart.candidates import Candidate, Source, choose
from brushwork.paintings.wikiart.shards import shards
from tests.conftest import write_paintings


def offered(*pairs: tuple[str, str], known: list[str] | None = None) -> Source:
    candidates = [
        Candidate(f"{style}/{name}.jpg", "a", "t", f"{style}-{i}", None, None) for i, (style, name) in enumerate(pairs)
    ]
    return Source("a source", candidates, lambda batch: iter(()), styles=known)


def paths(candidates: list[Candidate]) -> list[str]:
    return [candidate.path for candidate in candidates]


def test_the_first_of_each_style_are_taken_and_no_more_looked_at() -> None:
    seen = []

    def endless() -> object:
        for number in range(100):
            seen.append(number)
            yield offered((["Baroque", "Realism", "Cubism"][number % 3], str(number))).candidates[0]

    taken = choose(Source("a source", endless(), lambda batch: iter(())), ["baroque", "Realism"], 2, {})
    assert paths(taken) == ["Baroque/0.jpg", "Realism/1.jpg", "Baroque/3.jpg", "Realism/4.jpg"]
    assert seen == [0, 1, 2, 3, 4]


def test_more_of_each_style_begin_with_the_same() -> None:
    pairs = [("Baroque", name) for name in ("x", "X", "y", "x", "z")]
    assert paths(choose(offered(*pairs), ["Baroque"], 2, {})) == ["Baroque/x.jpg", "Baroque/X-2.jpg"]
    everything = ["Baroque/x.jpg", "Baroque/X-2.jpg", "Baroque/y.jpg", "Baroque/x-3.jpg", "Baroque/z.jpg"]
    assert paths(choose(offered(*pairs), ["Baroque"], None, {})) == everything


def test_a_lacking_style_is_told_and_substituted_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    source = offered(("Baroque", "x"), ("Rococo", "y"), ("Rococo", "z"))
    assert paths(choose(source, ["Baroque", "Surrealism"], 1, {})) == ["Baroque/x.jpg"]
    assert "has no Surrealism; --substitute Surrealism=STYLE uses another; it has Rococo, " in caplog.text
    taken = choose(source, ["Baroque", "Surrealism"], 1, {"surrealism": "rococo"})
    assert paths(taken) == ["Baroque/x.jpg", "Rococo/y.jpg"]
    assert "has no Surrealism: Rococo is used instead, under its own name" in caplog.text
    # Nobody needs the substitute of what is there.
    assert paths(choose(source, ["Baroque"], 1, {"Baroque": "Rococo"})) == ["Baroque/x.jpg"]
    caplog.clear()
    choose(source, ["Baroque"], 2, {})
    assert "has 1 of 2 paintings of Baroque" in caplog.text


@pytest.mark.parametrize(
    ("asked", "substitutes", "message"),
    [
        (["Baroque"], {"Realism": "Rococo"}, "Realism is not among --styles"),
        (["Baroque", "Realism"], {"Realism": "Baroque"}, "Baroque is among --styles already"),
        (["Baroque", "Realism"], {"Realism": "Cubism"}, "neither Realism nor its substitute Cubism; it has Baroque"),
        (["Realism"], {}, "no painting of the requested styles"),
    ],
)
def test_mistakes_in_styles(asked: list[str], substitutes: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(offered(("Baroque", "x")), asked, 1, substitutes)


def test_what_is_known_to_be_lacking_is_not_looked_for() -> None:
    def endless() -> object:
        while True:
            yield offered(("Baroque", "x")).candidates[0]

    source = Source("a source", endless(), lambda batch: iter(()), styles=["Baroque", "Rococo"])
    assert len(choose(source, ["Baroque", "Realism"], 3, {})) == 3


def test_style_names() -> None:
    """Every name in WikiArt's own writing, as Artificio has them, finds the folder of the report."""
    wikiart = ["Art Nouveau (Modern)", "Baroque", "Expressionism", "Impressionism", "Neoclassicism"]
    wikiart += ["Post-Impressionism", "Realism", "Romanticism", "Surrealism", "Symbolism"]
    assert [styles.folder_name(name) for name in wikiart] == list(styles.REPORT)
    others = ["Naïve Art (Primitivism)", "Mannerism (Late Renaissance)", "Ukiyo-e", "Action painting", "Tachisme"]
    assert [styles.folder_name(name) for name in others] == [
        *("Naive_Art_Primitivism", "Mannerism_Late_Renaissance", "Ukiyo_e", "Action_painting"),
        "Tachisme",
    ]


def test_artgans_style_names(shared: Path) -> None:
    lines = (shared / "reference/artgan/style_class.txt").read_text().split("\n")
    listed = [line.split()[1] for line in lines if line.strip()]
    assert [styles.folder_name(name) for name in listed] == list(styles.ARTGAN)


def test_all_of_artgans_names_keep_artist_and_title(shared: Path) -> None:
    """The 709 paths that are not ASCII: eleven artists, each repaired in one way; nothing else is changed."""
    rows = {row.file: row.part for row in table.read(shared / "reference/artgan").rows}
    assert Counter(rows.values()) == {"train": 57025, "val": 24421}
    stems = [Path(path).stem for path in rows]
    repaired = {stem: names.repaired(stem) for stem in stems}
    changed = {before: after for before, after in repaired.items() if before != after}
    assert all(not before.isascii() for before in changed)
    artists = {names.artist_and_title(after)[0] for after in changed.values()}
    assert artists == {
        *("joaquín-sorolla", "arnold-böcklin", "grégoire-michonze", "eugène-grasset", "andré-lhote"),
        *("ferdinand-georg-waldmüller", "antónio-de-carvalho-da-silva-porto", "mestre-ataíde", "georges-lacombe"),
        *("roger-bissière", "félix-del-marle"),
    }
    assert len(changed) == sum(not path.isascii() for path in {Path(path).stem for path in rows})
    assert all(after.partition("_")[2] == before.partition("_")[2] for before, after in changed.items())


def test_slugs_fit_into_file_names() -> None:
    stem = names.file_stem("ü" * 300, "漢字" * 300, "00-00001")
    assert len(f".{stem}.jpg.01234567.tmp".encode()) <= 255
    assert names.file_stem("Unknown_Artist / x", "a_b", "p") == "unknown-artist-x_a-b"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Two style folders, one of them under the shorter of its names, and files as downloads break them."""
    root = write_paintings(tmp_path / "download", 4, ["Art_Nouveau", "Baroque"], painted="Dots")
    one = root / "Art_Nouveau/artist-art_nouveau-0_00.jpg"
    (root / "Art_Nouveau/eugã_ne-grasset_youth_1_.jpg").write_bytes(one.read_bytes())
    (root / "Art_Nouveau/joaquã\xadn-sorolla_sea.jpg").write_bytes(one.read_bytes())
    (root / "wclasses.csv").write_text("file,class\n")
    return root


def test_folder(download: Path) -> None:
    source = sources.folder(download, None, seed=0)
    taken = choose(source, ["Art_Nouveau_Modern", "Baroque"], None, {})
    assert len(taken) == 10
    by_source = {candidate.source: candidate for candidate in taken}
    assert by_source["Art_Nouveau/joaquã\xadn-sorolla_sea.jpg"].path == "Art_Nouveau_Modern/joaquín-sorolla_sea.jpg"
    kept = by_source["Art_Nouveau/eugã_ne-grasset_youth_1_.jpg"]
    assert (kept.artist, kept.title, kept.part) == ("eugã-ne-grasset", "youth_1_", "")
    for candidate, content in source.read(taken):
        assert content == (download / candidate.source).read_bytes()
    (download / kept.source).unlink()
    ((_, failure),) = source.read([kept])
    assert isinstance(failure, UserError)


def test_folder_is_drawn_by_seed(paintings: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return paths(choose(sources.folder(paintings, None, seed), ["Dots", "Waves"], 4, {}))

    assert drawn(0) == drawn(0)
    assert set(drawn(0)) != set(drawn(1))
    assert Counter(path.split("/")[0] for path in drawn(0)) == {"Dots": 4, "Waves": 4}


def test_folder_with_artgans_split(download: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files find their rows by name, whatever the download did to it; a row's name is the better one."""
    (tmp_path / "style_train.csv").write_text(
        "Art_Nouveau_Modern/eugã¨ne-grasset_youth(1).jpg,3\nBaroque/artist-baroque-0_00.jpg,4\nBaroque/gone_x.jpg,4\n"
    )
    (tmp_path / "style_val.csv").write_text("Art_Nouveau_Modern/joaquã\xadn-sorolla_sea.jpg,3\n")
    taken = choose(sources.folder(download, tmp_path, seed=0), None, None, {})
    assert {candidate.path: candidate.part for candidate in taken} == {
        "Art_Nouveau_Modern/eugène-grasset_youth(1).jpg": "train",
        "Art_Nouveau_Modern/joaquín-sorolla_sea.jpg": "val",
        "Baroque/artist-baroque-0_00.jpg": "train",
    }
    assert "1 paintings of the split are not in" in caplog.text
    assert "the first Baroque/gone_x.jpg" in caplog.text
    assert "7 files are not in the split and left out" in caplog.text


def test_real_download_with_the_real_split(shared: Path) -> None:
    """Each of 2,800 files, brackets and accents broken by its download, finds its row."""
    root = shared / "data/wikiart-7x400"
    taken = choose(sources.folder(root, shared / "reference/artgan", seed=0), None, None, {})
    assert len(taken) == 2800
    parts = {}
    for part in ("train", "val"):
        with open(shared / f"reference/artgan/style_{part}.csv", encoding="utf-8", newline="") as file:
            parts |= {row[0]: part for row in csv.reader(file)}
    exact = [candidate for candidate in taken if candidate.source in parts]
    assert 2600 < len(exact) < 2800
    assert all(candidate.part == parts[candidate.source] for candidate in exact)
    assert {candidate.part for candidate in taken} == {"train", "val"}
    grasset = [candidate for candidate in taken if "grasset" in candidate.path]
    assert grasset
    assert {candidate.artist for candidate in grasset} == {"eugène-grasset"}


def test_the_reports_protocol(shared: Path) -> None:
    path = shared / "reference/cs587_wikiart_catalogue.csv.gz"
    taken = choose(sources.url_catalogue(path, seed=0), styles.REPORT, None, {})
    assert Counter(candidate.part for candidate in taken) == {"train": 3215, "val": 790}
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    np.random.seed(0)
    drawn = [rows[i] for i in np.random.permutation(len(rows))[:4005]]
    assert [candidate.source for candidate in taken] == [row["image_url"] for row in drawn]
    assert [styles.REPORT.index(candidate.style) for candidate in taken] == [int(row["label"]) for row in drawn]
    assert paths(taken)[0] == f"{taken[0].style}/{drawn[0]['image_id']}.jpg"
    assert all(candidate.artist for candidate in taken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,image_url,label\na_b,http://x,0\n", "no column '_split'"),
        ("image_id,image_url,label,_split\na_b,http://x,10,train\n", "not a catalogue of URLs with labels 0 to 9"),
        ("image_id,image_url,label,_split\na_b,http://x,-1,train\n", "not a catalogue of URLs with labels 0 to 9"),
        ("image_id,image_url,label,_split\na_b,http://x,1,valid\n", "not a catalogue of URLs.* _split valid"),
        ("image_id,image_url,label,_split\na_b,http://x,one,train\n", "not a catalogue of URLs with labels 0 to 9"),
        (None, "there is no catalogue"),
    ],
)
def test_other_catalogues_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        sources.url_catalogue(path, seed=0)


ARTIFICIO = Features(
    {name: Value("string") for name in ("title", "artist", "genre", "style")} | {"image": datasets.Image()}
)
HUGGAN = Features(
    {
        "image": datasets.Image(),
        "artist": ClassLabel(names=["Unknown Artist", "boris-kustodiev", "claude-monet"]),
        "genre": ClassLabel(names=["abstract_painting"]),
        "style": ClassLabel(names=[name.removesuffix("_Modern") for name in styles.ARTGAN]),
    }
)


def write_shards(folder: Path, features: Features, rows: list[dict], count: int, group: int) -> list[Path]:
    """Parquet files of `group` rows a row group, as the hub has them: pictures inside, features in the schema."""
    datasets.disable_progress_bars()
    files = []
    for shard in range(count):
        files.append(folder / f"train-{shard:05}-of-{count:05}.parquet")
        part = rows[shard * len(rows) // count : (shard + 1) * len(rows) // count]
        datasets.Dataset.from_list(part, features=features).to_parquet(files[-1], batch_size=group)
    return files


def picture(number: int) -> dict:
    return {"bytes": f"picture {number}".encode(), "path": None}


def test_artificio(tmp_path: Path) -> None:
    writing = ["Art Nouveau (Modern)", "Post-Impressionism", "Tachisme", None]
    rows = [
        {
            "title": None if number % 5 == 0 else f"Study, No. {number}",
            "artist": None if number % 7 == 0 else "Claude Monet",
            "genre": "landscape",
            "style": writing[number % 4],
            "image": picture(number),
        }
        for number in range(60)
    ]
    files = write_shards(tmp_path, ARTIFICIO, rows, count=3, group=6)
    source = shards("artificio", files, seed=0)
    taken = choose(source, ["art-nouveau", "Post_Impressionism"], None, {})
    assert len(taken) == 30
    for candidate in taken:
        shard, row = map(int, candidate.source.removeprefix("Artificio/WikiArt#").split("-"))
        number = shard * 20 + row
        place = f"{shard:02}-{row:05}"
        assert candidate.style == {0: "Art_Nouveau_Modern", 1: "Post_Impressionism"}[number % 4]
        if number % 7 == 0:
            assert (candidate.path, candidate.artist) == (f"{candidate.style}/unknown_{place}.jpg", "")
        else:
            title = place if number % 5 == 0 else f"study-no-{number}"
            assert (candidate.path, candidate.artist) == (f"{candidate.style}/claude-monet_{title}.jpg", "claude-monet")
        assert candidate.title == (rows[number]["title"] or "")
    # Whatever the batch, each candidate gets its own row's picture.
    for candidate in taken:
        ((got, content),) = source.read([candidate])
        shard, row = map(int, got.source.removeprefix("Artificio/WikiArt#").split("-"))
        assert content == f"picture {shard * 20 + row}".encode()
    batch = [candidate for candidate in taken if candidate.batch == taken[0].batch]
    assert {candidate for candidate, _ in source.read(batch)} == set(batch)


def test_shards_are_drawn_by_seed(tmp_path: Path) -> None:
    rows = [{"title": str(n), "artist": "a", "genre": "", "style": "Baroque", "image": picture(n)} for n in range(40)]
    files = write_shards(tmp_path, ARTIFICIO, rows, count=8, group=5)

    def drawn(seed: int, per_style: int = 12) -> list[str]:
        return [candidate.source for candidate in choose(shards("artificio", files, seed), ["Baroque"], per_style, {})]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert drawn(0, 20)[:12] == drawn(0)


def test_huggan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"image": picture(n), "artist": n % 3, "genre": 0, "style": [3, 12, 22][n % 3] if n < 15 else None}
        for n in range(16)
    ]
    files = write_shards(tmp_path, HUGGAN, rows, count=1, group=4)
    source = shards("huggan", files, seed=0)
    taken = choose(source, styles.REPORT, 2, {"Surrealism": "Rococo"})
    assert paths(taken) == [
        "Art_Nouveau_Modern/unknown_00-00000.jpg",
        "Impressionism/boris-kustodiev_00-00001.jpg",
        "Rococo/claude-monet_00-00002.jpg",
        "Art_Nouveau_Modern/unknown_00-00003.jpg",
        "Impressionism/boris-kustodiev_00-00004.jpg",
        "Rococo/claude-monet_00-00005.jpg",
    ]
    assert "huggan/wikiart has no Baroque" in caplog.text
    assert "no Neoclassicism" in caplog.text
    assert "huggan/wikiart has no Surrealism: Rococo is used instead" in caplog.text


def test_style_numbers_without_names_are_artgans(tmp_path: Path) -> None:
    features = HUGGAN | {"style": Value("int64"), "artist": Value("string")}
    rows = [{"image": picture(0), "artist": "x", "genre": 0, "style": 20}]
    files = write_shards(tmp_path, Features(features), rows, count=1, group=1)
    assert paths(choose(shards("huggan", files, 0), None, None, {})) == ["Post_Impressionism/x_00-00000.jpg"]


def test_shards_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"there is no file {re.escape(str(tmp_path))}/gone\.parquet: --parquet names the shards of A"
    ):
        shards("artificio", [tmp_path / "gone.parquet"], 0)
    (tmp_path / "text.parquet").write_text("no shard at all")
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path))}/text\.parquet cannot be read"):
        shards("artificio", [tmp_path / "text.parquet"], 0)
    datasets.Dataset.from_dict({"style": ["Baroque"], "text": ["x"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"has no column 'image' \(it has style, text\)"):
        shards("artificio", [tmp_path / "other.parquet"], 0)


def test_a_damaged_shard_fails_its_own_rows_only(tmp_path: Path) -> None:
    rows = [{"title": str(n), "artist": "a", "genre": "", "style": "Baroque", "image": picture(n)} for n in range(12)]
    (path,) = write_shards(tmp_path, ARTIFICIO, rows, count=1, group=6)
    content = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(1).column(4)  # bytes of the pictures
    assert page.path_in_schema == "image.bytes"
    start = page.dictionary_page_offset or page.data_page_offset
    content[start : start + page.total_compressed_size] = b"\xff" * page.total_compressed_size
    path.write_bytes(content)
    source = shards("artificio", [path], 0)
    taken = choose(source, ["Baroque"], None, {})
    batches: dict[object, list[Candidate]] = {}
    for candidate in taken:
        batches.setdefault(candidate.batch, []).append(candidate)
    outcomes = [outcome for batch in batches.values() for _, outcome in source.read(batch)]
    assert outcomes[:6] == [f"picture {n}".encode() for n in range(6)]
    assert len(outcomes) == 12
    assert all("the shard cannot be read" in str(outcome) for outcome in outcomes[6:])


def test_names_that_are_not_text(tmp_path: Path, paintings: Path) -> None:
    """File names are bytes: one that is no UTF-8 keeps them."""
    root = tmp_path / "root"
    (root / "Dots").mkdir(parents=True)
    name = os.fsdecode(b"jos\xe9_x.jpg")
    (root / "Dots" / name).write_bytes(next(paintings.glob("Dots/*")).read_bytes())
    (candidate,) = choose(sources.folder(root, None, 0), None, None, {})
    assert candidate.path == f"Dots/{name}"


def test_missing_folders_are_named(tmp_path: Path, paintings: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(UserError, match=rf"there is no folder {re.escape(str(tmp_path))}/gone: .*--root"):
        sources.folder(tmp_path / "gone", None, 0)
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path))} is a folder without tables of the parts"):
        sources.folder(paintings, tmp_path, 0)
