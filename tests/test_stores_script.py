"""scripts/stores.py: what is kept, and how one gets rid of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import Run


def test_list_and_clear(
    run: Run, make_job: Callable[..., Job], paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))
    assert run("stores")[:2] == (0, f"0 stores, 0 MB: {tmp_path}/cache/stores\n")
    jobs.run_job(make_job("tuning=head_only", "trainer.max_epochs=1", "logger=none"))
    status, out, _ = run("stores")
    assert status == 0
    assert f"32, squash, {paintings}" in out
    assert f"32, squash, MobileNetV3 up to classifier.3, 32-true, cpu, {paintings}" in out
    assert "30 rows" in out  # the pictures
    assert "54 rows" in out  # their features: 24 of them are also mirrored in training
    assert out.splitlines()[-1].startswith("2 stores, ")
    name = next(line.split()[0] for line in out.splitlines() if line.startswith("features-"))
    status, _, error = run("stores", "--clear", name[:-1])
    assert status == 1
    assert f"did you mean '{name}'" in error
    assert run("stores", "--clear", name)[0] == 0
    assert run("stores")[1].splitlines()[-1].startswith("1 stores, ")
    status, out, _ = run("stores", "--clear", "all")
    assert (status, out.count("removed pictures-")) == (0, 1)
    assert not list((tmp_path / "cache/stores").iterdir())
