"""A checkpoint that was trained for a moment, and a stand-in of the Hugging Face hub."""

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch

from brushwork import files, run_folder
from brushwork.calibration import Calibration
from brushwork.export import folder as exports
from brushwork.models import checkpoint as checkpoints
from brushwork.models import familiarity
from tests.conftest import once, small_job

TOKEN = "hf_token"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, paintings: Path) -> Path:
    """The folder of a finished run: SqueezeNet on 64 pixels, procedural pictures; read only."""
    from brushwork.training import job as jobs

    def train(folder: Path) -> None:
        off = [f"callbacks.{name}=null" for name in ("last", "dashboard", "saliency")]
        small = ["model=squeezenet1_1", "data.image_size=64", "trainer.max_epochs=1"]
        jobs.run_job(small_job(folder, paintings, *small, *off))
        # The validation part is too small to fit these.
        features = torch.randn(2, 40, 512, generator=torch.Generator().manual_seed(0))
        looks = familiarity.fit(*features, [str(number) for number in range(40)])
        calibration = Calibration(1.7, 6, [[0.9, 0.5, 0.25], [0.4, 0.5, 1.0]])
        checkpoints.add(folder / run_folder.BEST, calibration=calibration.plain(), familiarity=looks.plain())
        result = json.loads((folder / run_folder.RESULT).read_text())
        measured = {"temperature": 1.7, "measured_on": "test", "paintings": 6, "ece_before": 0.31, "ece_after": 0.12}
        result["calibration"] = {"best": measured | {"brier_before": 0.81, "brier_after": 0.72}, "last": None}
        files.write_json(folder / run_folder.RESULT, result)

    return once(tmp_path_factory, "finished_run", train)


@pytest.fixture(scope="session")
def checkpoint(finished: Path) -> Path:
    return finished / run_folder.BEST


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """All formats of the checkpoint: read only."""
    choices = exports.Choices(timed=False)
    return once(tmp_path_factory, "exported", lambda out: exports.write(checkpoint, out, choices))


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's HTTP protocol as huggingface_hub needs for one repository; all in memory."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]  # by path
    private: bool | None
    requests: list[str]
    name = "user/styles"

    @property
    def sha(self) -> str:
        return self.revision()

    @classmethod
    def revision(cls) -> str:
        return hashlib.sha1(repr(sorted(cls.files)).encode()).hexdigest()

    def answer(self, value: object, status: int = 200, **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer({})
        elif path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self.answer({"name": "user", "type": "user"} if known else {"error": "Invalid"}, 200 if known else 401)
        elif not self.files or self.name not in path:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        elif found := re.fullmatch(rf"/api/models/{self.name}/revision/(.+)", path):
            known = found[1] in ("main", self.sha)
            headers = {} if known else {"X_Error_Code": "RevisionNotFound"}
            self.answer({"id": self.name, "sha": self.sha, "siblings": []}, 200 if known else 404, **headers)
        elif path.startswith(f"/api/models/{self.name}/tree/"):
            entries = [(name, len(content), hashlib.sha1(content).hexdigest()) for name, content in self.files.items()]
            self.answer([{"type": "file", "path": n, "size": size, "oid": oid} for n, size, oid in entries])
        else:
            content = self.files[path.rpartition("/")[2]]
            self.answer(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=self.sha)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        body = self.body()
        if self.path == "/api/repos/create":
            asked = json.loads(body)  # "private" in older versions of the library
            Hub.private = asked.get("visibility") == "private" or asked.get("private")
            self.answer({"url": f"{huggingface_hub.constants.ENDPOINT}/{self.name}", "id": self.name})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": path, **modes} for path in paths]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(
                {
                    "commitUrl": f"{huggingface_hub.constants.ENDPOINT}/{self.name}/commit/{self.sha}",
                    "commitOid": self.sha,
                }
            )
        else:
            self.answer({"errors": [], "warnings": []})  # validate-yaml

    def body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """An empty hub that huggingface_hub takes for the real one, with an empty cache."""
    Hub.files, Hub.private, Hub.requests = {}, None, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    Hub.stop = server.shutdown
    yield Hub
    server.shutdown()
    server.server_close()
