"""Atomic writes."""

from pathlib import Path

import pytest

from brushwork import files


def test_an_error_of_writing_names_the_file(tmp_path: Path) -> None:
    """That of a full disk names none, or the temporary one."""
    path = tmp_path / "page.html"
    for name in (None, "temporary"):
        with pytest.raises(OSError) as error, files.atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(28, "No space left on device", *([str(temporary)] if name else []))
        assert str(error.value) == f"[Errno 28] No space left on device: '{path}'"
    with pytest.raises(FileNotFoundError, match="gone"), files.atomic_path(path):
        (tmp_path / "gone").read_bytes()
    assert not list(tmp_path.iterdir())
