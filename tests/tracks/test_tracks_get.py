"""``hotlap tracks get`` against a real server on loopback, and from folders and archives."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hotlap import __version__
from hotlap.cli.tracks import app
from hotlap.errors import TrackError
from hotlap.tracks import load_track, originals, random_track, write_route
from hotlap.tracks.catalog import add_track
from hotlap.tracks.download import Downloader, NotThereError, UnreachableError
from hotlap.tracks.originals import original_routes

NAMES = ("alpha_open", "alpha_open_cw", "Beta_track")
CONSOLE = {"Beta_track": "A to B Speedway"}


class Server(http.server.ThreadingHTTPServer):
    """Serves what is in ``files``; misbehaves as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        """Bytes after which each of the next answers ends too early."""
        self.busy = 0
        """Answers to come that only say 503."""
        self.moved: dict[str, str] = {}
        self.etag: str | None = '"1"'
        self.asked: list[tuple[str, str | None]] = []
        """Paths and ranges."""
        self.agents: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers.get("Range")
        server.asked.append((self.path, span))
        server.agents.add(self.headers["User-Agent"])
        if server.busy:
            server.busy -= 1
            self.send_error(503)
        elif self.path in server.moved:
            self.send_response(302)
            self.send_header("Location", server.moved[self.path])
            self.end_headers()
        elif self.path not in server.files:
            self.send_error(404)
        else:
            content = server.files[self.path]
            begin = int(span[6:-1]) if span and self.headers.get("If-Range") == server.etag else 0
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if server.etag:
                self.send_header("ETag", server.etag)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = begin + server.cut_after.pop(0) if server.cut_after else len(content)
            self.wfile.write(content[begin:end])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOTLAP_TRACK_SOURCE", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOTLAP_TRACKS", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


@pytest.fixture
def routes(tmp_path: Path) -> dict[str, bytes]:
    """Routes of the generator, which stand for the original's."""
    contents = {}
    for seed, name in enumerate(NAMES):
        write_route(random_track(seed), tmp_path / "made.npy")
        contents[name] = (tmp_path / "made.npy").read_bytes()
    (tmp_path / "made.npy").unlink()
    return contents


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def manifest(
    tmp_path: Path, routes: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    """The known routes are those of this test, published by the server."""
    file = tmp_path / "manifest.json"
    source = {"repository": "https://example.org/routes", "address": f"{server.address}/published", "license": "MIT-0"}
    rows = [
        {
            "name": name,
            "length_m": 20.0,
            "console_name": CONSOLE.get(name),
            "source": "made",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in routes.items()
    ]
    file.write_text(json.dumps({"sources": {"made": source}, "routes": rows}))
    monkeypatch.setattr(originals, "MANIFEST", file)
    server.files = {
        f"/{folder}/{name}.npy": data for name, data in routes.items() for folder in ("published", "mirror")
    }
    monkeypatch.setattr(Downloader.__init__, "__kwdefaults__", {**Downloader.__init__.__kwdefaults__, "first_pause": 0})
    return routes


def get(*arguments: str, code: int = 0) -> dict[str, dict]:
    """Rows of ``tracks get --json`` by their names."""
    result = CliRunner().invoke(app, ["get", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return {row["name"]: row for row in json.loads(result.stdout)["tracks"]}


def check_whole(own_folder: Path, routes: dict[str, bytes]) -> None:
    assert {path.stem: path.read_bytes() for path in own_folder.glob("*.npy")} == routes
    assert {path.name for path in own_folder.iterdir()} == {*(f"{name}.npy" for name in routes), "SOURCES.json"}


def test_the_whole_set_comes_from_where_it_is_published(own_folder: Path, routes: dict[str, bytes], server: Server):
    """Byte by byte, with source and license beside it; tracks are then known by their names."""
    rows = get("--all")
    check_whole(own_folder, routes)
    assert {row["status"] for row in rows.values()} == {"new"}
    notes = json.loads((own_folder / "SOURCES.json").read_text())
    assert notes["Beta_track"]["published"] == f"{server.address}/published/Beta_track.npy"
    assert {note["license"] for note in notes.values()} == {"MIT-0"}
    assert server.agents == {f"hotlap/{__version__}"}
    assert load_track("a to b speedway").name == "Beta_track"


def test_what_is_here_is_not_fetched_again(own_folder: Path, routes: dict[str, bytes], server: Server):
    """The second command asks for the rest only; when nothing is missing, it asks for nothing."""
    get("alpha_open")
    server.asked.clear()
    rows = get("--all")
    assert [rows[name]["status"] for name in NAMES] == ["here", "new", "new"]
    assert len(server.asked) == 2
    get("alpha_open", "ALPHA_OPEN_CW.npy", "A to B Speedway")
    assert len(server.asked) == 2
    check_whole(own_folder, routes)


def test_what_came_is_named(routes: dict[str, bytes], monkeypatch: pytest.MonkeyPatch):
    """By the names that count here, up to ten; nothing is said of what there is none of."""

    def said(*words: str) -> list[str]:
        return CliRunner().invoke(app, ["get", *words], catch_exceptions=False).stdout.splitlines()

    assert said("A to B Speedway")[0] == "New: Beta_track."
    assert said("A to B Speedway", "alpha_open")[:2] == ["New: alpha_open.", "Here already: Beta_track."]
    monkeypatch.setattr("hotlap.cli.tracks.MAX_NAMED", 1)
    lines = said("--all")
    assert lines[:2] == ["New: alpha_open_cw.", "Here already: alpha_open and 1 more."]
    assert len(lines) == 3


def test_a_source_on_this_machine_is_noted_by_its_whole_path(tmp_path: Path, own_folder: Path):
    (tmp_path / "copies").mkdir()
    write_route(random_track(NAMES.index("Beta_track")), tmp_path / "copies" / "Beta_track.npy")
    get("Beta_track", "--source", "copies")
    assert json.loads((own_folder / "SOURCES.json").read_text())["Beta_track"]["source"] == str(tmp_path / "copies")


def test_a_pattern_brings_what_it_fits(own_folder: Path):
    assert set(get("ALPHA*")) == {"alpha_open", "alpha_open_cw"}
    with pytest.raises(TrackError, match=r"no route is called like 'gamma\*'"):
        get("gamma*")
    with pytest.raises(TrackError, match="Did you mean 'alpha_open'"):
        get("alpa_open")


def test_a_broken_and_a_strange_file_do_not_keep_others_from_coming(
    own_folder: Path, routes: dict[str, bytes], server: Server
):
    """A damaged file and one with another checksum are refused with the reason; nothing of them stays."""
    server.files["/published/alpha_open.npy"] = routes["alpha_open"][:3000]
    server.files["/published/Beta_track.npy"] = routes["alpha_open"]
    rows = get("--all", code=1)
    assert "damaged or cut short" in rows["alpha_open"]["note"]
    assert "is not the published file" in rows["Beta_track"]["note"]
    assert "--any-hash" in rows["Beta_track"]["note"]
    check_whole(own_folder, {"alpha_open_cw": routes["alpha_open_cw"]})
    assert get("Beta_track", "--any-hash")["Beta_track"]["license"].startswith("unknown")
    assert (own_folder / "Beta_track.npy").read_bytes() == routes["alpha_open"]


def test_other_tracks_of_the_users_are_not_replaced_without_force(own_folder: Path, routes: dict[str, bytes]):
    write_route(random_track(9), own_folder / "Beta_track.npy")
    mine = (own_folder / "Beta_track.npy").read_bytes()
    assert "--force" in get("Beta_track", code=1)["Beta_track"]["note"]
    assert (own_folder / "Beta_track.npy").read_bytes() == mine
    get("Beta_track", "--force")
    assert (own_folder / "Beta_track.npy").read_bytes() == routes["Beta_track"]


def test_a_cut_connection_is_tried_again(own_folder: Path, routes: dict[str, bytes], server: Server):
    """From where it broke if the server can tell that its file is the same, otherwise from the beginning."""
    server.cut_after = [1000, 0, 500]
    get("alpha_open")
    assert [span for _, span in server.asked] == [None, "bytes=1000-", "bytes=1000-", "bytes=1500-"]
    server.asked.clear()
    server.etag, server.cut_after, server.busy = None, [100], 1
    get("Beta_track")
    assert [span for _, span in server.asked] == [None, None, None]
    assert (own_folder / "Beta_track.npy").read_bytes() == routes["Beta_track"]
    server.cut_after = [10] * 99
    rows = get("alpha_open_cw", code=1)
    assert "did not come whole in 5 tries" in rows["alpha_open_cw"]["note"]
    server.cut_after = []
    get("--all")
    check_whole(own_folder, routes)


def test_a_mirror_serves_the_same(
    own_folder: Path, routes: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch
):
    """By option or by the environment; what the mirror lacks is named; secrets of its address are not."""
    get("alpha_open", "--source", f"{server.address}/mirror/")
    monkeypatch.setenv("HOTLAP_TRACK_SOURCE", f"{server.address.replace('//', '//me:secret@')}/mirror?token=secret")
    server.files = {f"{path}?token=secret": content for path, content in server.files.items()}
    get("--all")
    check_whole(own_folder, routes)
    assert {path.partition("/mirror")[0] for path, _ in server.asked} == {""}
    assert "secret" not in (own_folder / "SOURCES.json").read_text()
    rows = get("gamma", code=1)
    assert "no such file (404)" in rows["gamma"]["note"]
    assert "secret" not in rows["gamma"]["note"]


def test_a_route_that_nobody_knows_is_taken_by_its_shape(own_folder: Path, routes: dict[str, bytes], server: Server):
    server.files["/mirror/backyard.npy"] = routes["alpha_open"]
    row = get("backyard", "--source", f"{server.address}/mirror")["backyard"]
    assert "only its shape was checked" in row["note"]
    assert load_track("backyard").name == "backyard"


def unused_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def test_without_a_network_it_says_what_is_here_and_where_else_to_look(own_folder: Path):
    """At once: neither a refused port nor a name that nobody knows is tried twice."""
    for source in (f"http://127.0.0.1:{unused_port()}/x", "http://no-such-host.invalid/x"):
        with pytest.raises(UnreachableError) as caught:
            get("--all", "--source", source)
        text = str(caught.value)
        first, details = text.split("\n")
        assert first.startswith("no network, or the server is away: nothing fetched (0 of 3). The 10 built-in tracks")
        assert source in details
        for part in ("cannot be reached", "`hotlap tracks list`", "--source PLACE", "goes on with the rest"):
            assert part in text
        assert not own_folder.exists()


def test_what_is_here_needs_no_network(own_folder: Path, monkeypatch: pytest.MonkeyPatch):
    get("Beta_track")
    monkeypatch.setenv("HOTLAP_TRACK_SOURCE", "http://no-such-host.invalid/x")
    assert get("beta_track")["Beta_track"]["status"] == "here"


def test_servers_cannot_send_on_to_other_places(server: Server, tmp_path: Path):
    """Only to http and https, and not for ever; nor can they send more than a route may have."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    server.moved = {
        "/a": secret.as_uri(),
        "/b": "ftp://127.0.0.1/x",
        "/loop": "/loop",
        "/ok": "/published/alpha_open.npy",
    }
    for path in ("/a", "/b", "/loop"):
        with pytest.raises(TrackError):
            Downloader(first_pause=0).get(server.address + path, 1000)
    assert Downloader().get(server.address + "/ok", 1 << 20) == server.files["/published/alpha_open.npy"]
    with pytest.raises(TrackError, match="more than the 100 bytes"):
        Downloader().get(server.address + "/ok", 100)
    with pytest.raises(NotThereError):
        Downloader().get(server.address + "/none", 100)
    with pytest.raises(TrackError, match="no address"):
        Downloader().get(secret.as_uri(), 100)


def packed(kind: str, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("opt/alpha_open.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return out.getvalue()


def image(routes: dict[str, bytes]) -> dict[str, bytes]:
    """Files of an image: the routes, and arrays of other programs, one by the name of a route."""
    share = "opt/simapp/install/deepracer_simulation_environment/share/deepracer_simulation_environment/routes"
    others = {"usr/lib/python3/numpy/tests/data.npy": b"x", "tmp/a/Beta_track.npy": b"\x93NUMPYno", "etc/odd:name": b""}
    return others | {f"{share}/{name}.npy": content for name, content in routes.items()}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_archives_and_exported_images_are_sources(
    kind: str, own_folder: Path, routes: dict[str, bytes], server: Server, tmp_path: Path
):
    """On this machine and at an address, there with a connection that breaks; links and other files mean nothing."""
    content = packed(kind, image(routes))
    (tmp_path / f"image.{kind}").write_bytes(content)
    rows = get("alpha*", "Beta_track", "--source", f"image.{kind}")
    assert {row["status"] for row in rows.values()} == {"new"}
    check_whole(own_folder, routes)
    for path in own_folder.iterdir():
        path.unlink()
    server.files[f"/x/image.{kind}"] = content
    server.cut_after = [len(content) // 2]
    get(*NAMES, "--source", f"{server.address}/x/image.{kind}")
    check_whole(own_folder, routes)
    assert len(server.asked) == 2


def test_checkouts_and_file_systems_are_sources(own_folder: Path, routes: dict[str, bytes], tmp_path: Path):
    """A folder ``routes`` somewhere below goes before other arrays of the same name; links are not followed."""
    for name, content in image(routes).items():
        path = tmp_path / "image" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "image" / "alpha_open.npy").symlink_to("/dev/zero")
    get(*NAMES, "--source", "image")
    check_whole(own_folder, routes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrackError, match="no route files"):
        get("--all", "--source", "empty")
    with pytest.raises(TrackError, match="cannot be read"):
        get("--all", "--source", "nowhere")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 no zip", b"\x1f\x8b no gzip", packed("tar", {"x.npy": b"1" * 9999})[:700]],
    ids=["empty", "zip", "gzip", "cut"],
)
def test_damaged_archives_are_refused(content: bytes, tmp_path: Path):
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(TrackError, match=r"bad\.zip: the archive cannot be read: "):
        get("--all", "--source", "bad.zip")


def test_names_in_archives_lead_nowhere(own_folder: Path, routes: dict[str, bytes], tmp_path: Path):
    (tmp_path / "evil.zip").write_bytes(packed("zip", {"../../alpha_open.npy": routes["alpha_open"]}))
    get("--all", "--source", "evil.zip")
    check_whole(own_folder, {"alpha_open": routes["alpha_open"]})


def test_add_takes_files_folders_and_archives(own_folder: Path, routes: dict[str, bytes], tmp_path: Path):
    """As they are, byte by byte; a bad one among them is named and the others come."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "alpha_open.npy").write_bytes(routes["alpha_open"])
    (tmp_path / "some" / "bad.npy").write_bytes(b"no array")
    (tmp_path / "rest.tar").write_bytes(packed("tar", {"alpha_open_cw.npy": routes["alpha_open_cw"]}))
    (tmp_path / "Beta_track.npy").write_bytes(routes["Beta_track"])
    result = CliRunner().invoke(app, ["add", "some", "rest.tar", "Beta_track.npy", "--json"])
    assert result.exit_code == 1
    rows = {row["name"]: row for row in json.loads(result.stdout)["tracks"]}
    assert "not a NumPy array file" in rows.pop("bad")["error"]
    assert set(rows) == set(routes)
    assert {path.stem: path.read_bytes() for path in own_folder.glob("*.npy")} == routes
    assert get(*NAMES)["alpha_open"]["status"] == "here"


def test_an_unknown_track_names_the_command_that_brings_it():
    for name in ("Beta_track", "beta_track.npy", "A to B Speedway", "beta track_ccw"):
        with pytest.raises(TrackError, match="`hotlap tracks get Beta_track`"):
            load_track(name)
    with pytest.raises(TrackError, match=r"Did you mean 'alpha_open'.*`hotlap tracks get alpha_open`"):
        load_track("alpha_opn")
    get("alpha_open")
    with pytest.raises(TrackError, match=r"Did you mean 'alpha_open' or 'alpha_open_cw'") as caught:
        load_track("alpha_opn")
    assert "tracks get" not in str(caught.value), "what was most likely meant is here"


def test_names_are_taken_as_people_write_them(tmp_path: Path, routes: dict[str, bytes]):
    (tmp_path / "Beta_track.npy").write_bytes(routes["Beta_track"])
    add_track(tmp_path / "Beta_track.npy", overwrite=True)
    (tmp_path / "Beta_track.npy").unlink()
    for name in ("Beta_track", "BETA_TRACK", "beta track", "Beta_track.npy", "a-to-b speedway", "A to B Speedway"):
        assert load_track(name).name == "Beta_track"
    for name in ("beta_track_cw", "A to B Speedway (clockwise)", "Beta track cw"):
        assert not load_track(name).ccw
        assert load_track(name).name == "Beta_track_cw"
    assert load_track("A to B Speedway, counter-clockwise".replace(",", "")).ccw
    assert load_track("FIRST_LAP.npy").name == "first_lap"


@pytest.mark.data
def test_the_manifest_is_that_of_the_originals_routes(
    reference_data: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every file in the manifest is there with its checksum and length, and all of them can be got and loaded."""
    monkeypatch.undo()
    monkeypatch.setenv("HOTLAP_TRACKS", str(own_folder))
    rows = get("--all", "--source", str(reference_data / "tracks"))
    assert set(rows) == set(original_routes())
    for name, route in original_routes().items():
        track = load_track(name)
        assert abs(track.length - route.length_m) < 2e-3 or not np.array_equal(track.center[0], track.center[-1])
        if route.console_name:
            assert load_track(route.console_name).name == name
