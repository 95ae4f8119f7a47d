"""Archives are known by what they begin with; what harms is refused with the reason, and nothing is written outside."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from hotlap.archives import zip as zip_reader
from hotlap.archives.archive import as_folder, is_archive, unpack
from hotlap.bounded import MalformedError
from hotlap.errors import RecordError


def everything(name: str) -> int:
    return 1 << 20


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, compress_type=method)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_gives_its_wanted_files(tmp_path: Path, target: Path, method: int):
    """Folders are none, and what is not wanted stays."""
    content = bytes(range(256)) * 999
    path = zipped(tmp_path / "a", ("m/", b""), ("m/a.json", content), ("m/b.exe", b"x"), ("c", b""), method=method)
    files = unpack(path, target, lambda name: None if name.endswith(".exe") else 1 << 20)
    assert {name: file.read_bytes() for name, file in files.items()} == {"m/a.json": content, "c": b""}


def test_zip_of_a_stream_and_with_large_numbers(tmp_path: Path, target: Path):
    """Writers that cannot seek put sizes behind the member; zip64 puts them into an extra field."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.parts.append(bytes(data))
            return len(data)

    stream = Stream()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a", "w", force_zip64=True) as file,
    ):
        file.write(b"content")
    path = tmp_path / "stream.zip"
    path.write_bytes(b"".join(stream.parts))
    assert unpack(path, target, everything)["a"].read_bytes() == b"content"


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a\\b", "C:x"])
def test_zip_with_names_that_lead_outside(tmp_path: Path, target: Path, name: str):
    info = zipfile.ZipInfo("x")
    info.filename = name
    with pytest.raises(MalformedError, match="leads outside"):
        unpack(zipped(tmp_path / "a", (info, b"x")), target, everything)
    assert not list(target.iterdir())


def test_zip_with_a_link(tmp_path: Path, target: Path):
    link = zipfile.ZipInfo("link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(MalformedError, match="link or a device"):
        unpack(zipped(tmp_path / "a", (link, b"/etc/passwd")), target, everything)


def test_zip_bombs(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch):
    """One member that is too large, one that says less than it holds, many that are too much together, too many."""
    with pytest.raises(MalformedError, match="more than the 1048576"):
        unpack(zipped(tmp_path / "a", ("a", bytes(1 << 21))), target, everything)
    path = zipped(tmp_path / "b", ("a", bytes(1 << 19)))
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(MalformedError, match="damaged"):
        unpack(path, target, everything)
    monkeypatch.setattr(zip_reader, "MAX_UNPACKED", 1 << 20)
    many = zipped(tmp_path / "c", *((f"{number}", bytes(1 << 19)) for number in range(3)))
    (tmp_path / "c-target").mkdir()
    with pytest.raises(MalformedError, match="unpacks to more than"):
        unpack(many, tmp_path / "c-target", everything)
    monkeypatch.setattr(zip_reader, "MAX_MEMBERS", 2)
    with pytest.raises(MalformedError, match="more than 2 members"):
        unpack(many, target, everything)


def test_every_cut_of_a_zip_is_refused(tmp_path: Path):
    whole = zipped(tmp_path / "whole", ("a", b"content" * 9), ("b", b"x")).read_bytes()
    for length in range(4, len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        folder = tmp_path / f"target{length}"
        folder.mkdir()
        with pytest.raises(MalformedError):
            unpack(tmp_path / "cut", folder, everything)


def test_every_wrong_byte_of_a_zip_is_found_or_harmless(tmp_path: Path):
    """Whatever one byte becomes, no other content comes out."""
    whole = zipped(tmp_path / "whole", ("a", b"content" * 9)).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        (tmp_path / "damaged").write_bytes(damaged)
        folder = tmp_path / f"target{place}"
        folder.mkdir()
        try:
            files = unpack(tmp_path / "damaged", folder, everything)
        except MalformedError:
            continue
        assert all(file.read_bytes() == b"content" * 9 for file in files.values()), place


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_is_known_whatever_its_name(tmp_path: Path, mode: str):
    path = tmp_path / "download"
    with tarfile.open(path, mode) as archive:
        info = tarfile.TarInfo("outer/metrics/a.json")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"{}"))
    assert is_archive(path)
    with as_folder(path, everything) as folder:
        assert folder.name == "outer"
        assert (folder / "metrics" / "a.json").read_bytes() == b"{}"
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"episode,steps\n", bytes(1024), b"\x1f\x8b\x08\0"])
def test_other_files_are_no_archives(tmp_path: Path, content: bytes):
    (tmp_path / "a.tar.gz").write_bytes(content)
    assert not is_archive(tmp_path / "a.tar.gz")


def test_a_damaged_archive_is_told_in_a_sentence(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", ("a", b"x"))
    path.write_bytes(path.read_bytes()[:-5])
    with (
        pytest.raises(RecordError, match=r"a\.zip: this archive cannot be used: it is cut short.*download or copy"),
        as_folder(path, everything),
    ):
        pass
