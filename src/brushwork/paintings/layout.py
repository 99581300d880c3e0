"""How pictures lie in a folder: the styles, artists and parts that its folders say, and what else it has."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from brushwork import images
from brushwork.errors import UserError
from brushwork.paintings.styles import is_known, style_key

ALTERNATIVES = (
    "put style folders there (Style/artist_title.jpg), name another folder with data.root=PATH, "
    "or try the demo, which needs no data: python train.py experiment=demo"
)

PARTS = ("train", "val", "test")
_PART_NAMES = {name: name for name in PARTS}
_PART_NAMES |= {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}


@dataclass(frozen=True)
class Picture:
    """A picture file and what its folders say, None or "" for nothing; `path` is relative to the root, with "/"."""

    path: str
    bytes: int
    style: str | None = None
    artist: str | None = None
    part: str = ""

    @property
    def folders(self) -> list[str]:
        return self.path.split("/")[:-1]


@dataclass
class Layout:
    """What is under a root, each list sorted by path, relative, with "/".

    pictures: in `Style/picture`, `Style/Artist/picture`, either of them under or over train/, val/ and test/.
    folders: all folders. others: files that are no images. hidden: what the system made, not looked into.
    broken: links to nothing, or to a folder that they are in.
    """

    root: Path
    pictures: list[Picture] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    part_level: int | None = None  # of the folders that are called train, val or test

    @property
    def styles(self) -> list[str]:
        """The names of the style folders, sorted, those without pictures too, and links to one that is gone."""
        level = 1 if self.part_level == 0 else 0
        links = [path for path in self.broken if path.count("/") == level and "." not in path.split("/")[level]]
        named = {path.split("/")[level] for path in (*self.folders, *links) if path.count("/") >= level}
        trained = self._trained
        merged = {name for name in named if _canonical(name, trained) != name}
        return sorted((named - merged) | {picture.style for picture in self.pictures if picture.style})

    @property
    def part_folders(self) -> list[str]:
        """The names of the folders that are parts: train, val, test, in any spelling."""
        level = self.part_level
        return [] if level is None else _in_order({p.folders[level] for p in self.pictures if len(p.folders) > level})

    @property
    def _trained(self) -> set[str]:
        return {picture.style for picture in self.pictures if picture.part == "train" and picture.style}

    def why_empty(self, style: str) -> str:
        """What a style folder without pictures has instead, for a message."""
        below = [path for path in (*self.others, *self.broken) if style in path.split("/")[:-1] or path == style]
        links = sum(path in self.broken for path in below)
        if links:
            return f"{links} broken links"
        if not below:
            return "system files only" if any(style in path.split("/")[:-1] for path in self.hidden) else "it is empty"
        return images.count_others(below)


def read(root: Path) -> Layout:
    """List what is under `root` and interpret its folders.

    Raises:
        UserError: there is no such folder or no permission; it has nothing; the styles are in a folder further down;
            folders called train and test stand beside others with pictures.
    """
    layout = Layout(root)
    where = root.resolve()
    try:
        _walk(root, "", layout, (os.path.realpath(root),))
    except FileNotFoundError:
        raise UserError(f"no paintings at {where}: {ALTERNATIVES}") from None
    except NotADirectoryError:
        raise UserError(f"{where} is a file, not a folder of style folders: {ALTERNATIVES}") from None
    except PermissionError as error:
        raise UserError(f"no permission to read {error.filename}: change that, or name data.root") from None
    if not layout.folders and not layout.pictures:
        raise UserError(f"{where} holds no style folders: {ALTERNATIVES}")
    _refuse_a_level_too_high(layout)
    layout.part_level = _part_level(layout)
    layout.pictures = [_interpreted(picture, layout.part_level) for picture in layout.pictures]
    if layout.part_level == 0:  # one style may be spelled in two ways in two parts
        trained = layout._trained
        layout.pictures = [
            replace(picture, style=picture.style and _canonical(picture.style, trained)) for picture in layout.pictures
        ]
    return layout


def _walk(folder: str | Path, inside: str, layout: Layout, above: tuple[str, ...]) -> None:
    """List a folder; `above` are the real paths of the folders from the root to it."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = inside + entry.name
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself
            is_folder = is_file = False
        if images.is_hidden(entry.name):
            layout.hidden.append(path)
        elif (entry.is_symlink() and not is_folder and not is_file) or (is_folder and _real(entry) in above):
            layout.broken.append(path)
        elif is_folder:
            layout.folders.append(path)
            _walk(entry.path, f"{path}/", layout, (*above, _real(entry)))
        elif is_file and images.is_image_file(entry.name):
            layout.pictures.append(Picture(path, entry.stat().st_size))
        else:
            layout.others.append(path)


def _real(folder: os.DirEntry) -> str:
    return os.path.realpath(folder.path)


def _part_level(layout: Layout) -> int | None:
    """The level of folders at which all that have pictures are called train, val or test; None if there is none."""
    for level in (0, 1, 2):
        names = {picture.folders[level] for picture in layout.pictures if len(picture.folders) > level}
        parts = {name for name in names if _is_part(name)}
        by_word = {_part_in(name) for name in names}
        if names and (parts == names or (None not in by_word and len(by_word) > 1)):
            return level
        has_styles = any(len(picture.folders) > 1 and picture.folders[0] in parts for picture in layout.pictures)
        if level == 0 and (len(parts) > 1 or has_styles):
            beside = ", ".join(sorted(names - parts)[:10])
            raise UserError(
                f"{layout.root.resolve()} has the parts {', '.join(_in_order(parts))}, and beside them {beside}: "
                f"move these to another folder, or into the parts"
            )
    return None


def _interpreted(picture: Picture, part_level: int | None) -> Picture:
    folders, part = picture.folders, ""
    if part_level is not None and len(folders) > part_level:
        part = _part_in(folders.pop(part_level)) or ""
    style, artist = [*folders[:2], None, None][:2]
    return replace(picture, style=style, artist=artist, part=part)


def _canonical(style: str, trained: set[str]) -> str:
    """The spelling of a style in the training part."""
    same = [name for name in trained if style_key(name) == style_key(style)]
    return same[0] if style not in trained and len(same) == 1 else style


def _refuse_a_level_too_high(layout: Layout) -> None:
    """Refuse a root whose style folders are in one of its folders, and name that one."""
    top = defaultdict(list)  # the paths in each folder, split
    for picture in layout.pictures:
        if picture.folders:
            top[picture.folders[0]].append(picture.path.split("/"))
    if any(map(_is_part, top)) or _part_level(layout) == 0:
        inner = {name for paths in top.values() for name in _folders_at(paths, 1)}
        styles = {name for paths in top.values() for name in _folders_at(paths, 2)}
        if len(inner) == 1 < len(styles) and not any(map(is_known, inner)):
            place = f"{layout.root.resolve() / next(iter(top))}/{inner.pop()}"
            raise UserError(f"the styles are in {place} ({', '.join(sorted(styles)[:3])}, ...): move them a folder up")
        return
    too_high = []
    for name in filter(lambda name: not is_known(name), top):
        depth = 1
        while len(inside := _folders_at(top[name], depth)) == 1 and not _is_part(next(iter(inside))):
            depth += 1
        inner = "/".join(top[name][0][:depth])
        # One style by several artists looks the same as several styles: names that are known tell.
        is_only = len(top) == 1 and (len(inside) > 1 or any(map(_is_part, inside)))
        if is_only or sum(map(is_known, inside)) > 1:
            too_high.append((inner, ", ".join(sorted(inside)[:3])))
    if len(too_high) > 1:
        raise UserError(
            f"{layout.root.resolve()}: the styles ({too_high[0][1]}, ...) are inside of each of "
            f"{', '.join(inner for inner, _ in too_high[:10])}: call these train, val and test if they are parts; "
            f"artists' folders belong into the styles' (Style/Artist/title.jpg)"
        )
    for inner, shown in too_high:
        raise UserError(
            f"the styles are in {(layout.root / inner).resolve()} ({shown}, ...): "
            f"use that, data.root={layout.root / inner}"
        )


def _folders_at(paths: list[list[str]], depth: int) -> set[str]:
    """The names of folders so far below the root; none if a picture lies beside or above them."""
    return set() if any(len(path) <= depth + 1 for path in paths) else {path[depth] for path in paths}


def _in_order(names: Iterable[str]) -> list[str]:
    """Names of part folders, those that train first."""
    return sorted(names, key=lambda name: (PARTS.index(_part_in(name) or "test"), name))


def _is_part(name: str) -> bool:
    return bool(part_named(name))


def _part_in(name: str) -> str | None:
    """The only part that a folder's name has as a word, of wikiart_train and train2017 train; None for others."""
    parts = {part_named(word) for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)} - {None, ""}
    return part_named(name) or (parts.pop() if len(parts) == 1 else None)


def part_named(name: str) -> str | None:
    """The part of a name: "training" is "train", "valid" is "val"; "" for "unused" and nothing, None for others.

    >>> part_named("Validation"), part_named("test_set"), part_named("unused"), part_named("uncertain artist")
    ('val', 'test', '', None)
    """
    lowered = name.strip().lower()
    return "" if lowered in ("", "unused") else _PART_NAMES.get(re.sub(r"[\W_]*(set|split)$", "", lowered))
