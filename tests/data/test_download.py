"""Downloads, against a server of our own: checked, resumed, complete or not there; hostile archives are refused."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from mlkit.data import download
from mlkit.data.archive import unpack
from mlkit.data.download import get_file

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any path, with ranges; it can break off and can forget what ranges are."""

    ranges = True
    break_after = None
    status = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        if self.server.status:
            return self.send_error(self.server.status)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end, self.server.break_after = self.server.break_after, None
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    return functools.partial(get_file, origin=f"{server.url}/data.bin", cache_dir=tmp_path)


def test_a_file_is_fetched_once(server, get, tmp_path):
    path = get(file_hash=SHA)
    assert path == str(tmp_path / "datasets" / "data.bin")
    assert Path(path).read_bytes() == CONTENT
    assert get(file_hash=SHA) == path
    assert get(md5_hash=MD5) == path
    assert get() == path
    assert len(server.requests) == 1
    get(force_download=True)
    assert len(server.requests) == 2


def test_names_and_folders(get, tmp_path):
    assert get("other.bin", cache_subdir="models") == str(tmp_path / "models" / "other.bin")
    with pytest.raises(ValueError, match="without folders"):
        get("../escape.bin")
    with pytest.raises(ValueError, match="origin"):
        get_file("x")
    with pytest.raises(ValueError, match="hash_algorithm"):
        get(file_hash=SHA, hash_algorithm="crc")


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    assert download.cache_folder() == str(tmp_path)
    monkeypatch.delenv("MLKIT_HOME")
    assert download.cache_folder().endswith(".mlkit")


def test_a_wrong_file_is_thrown_away(get, tmp_path):
    with pytest.raises(ValueError, match=f"{SHA}, but {'0' * 64} is expected"):
        get(file_hash="0" * 64)
    assert not list((tmp_path / "datasets").iterdir())


def test_a_file_that_went_bad_is_fetched_again(server, get, tmp_path):
    path = get(file_hash=SHA)
    Path(path).write_bytes(b"spoilt")
    assert Path(get(file_hash=SHA)).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_broken_connection_is_taken_up_where_it_ended(server, get):
    server.break_after = 300_000
    assert Path(get(file_hash=SHA)).read_bytes() == CONTENT
    assert [r for _, r in server.requests] == [None, "bytes=300000-"]


def test_a_part_of_an_earlier_run_is_used(server, get, tmp_path):
    (tmp_path / "datasets").mkdir()
    part = tmp_path / "datasets" / "data.bin.part"
    part.write_bytes(CONTENT[:1000])
    assert Path(get(file_hash=SHA)).read_bytes() == CONTENT
    assert server.requests[0][1] == "bytes=1000-"
    assert not part.exists()


def test_a_complete_part_needs_nothing_more(server, get, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "data.bin.part").write_bytes(CONTENT)
    assert Path(get(file_hash=SHA)).read_bytes() == CONTENT


def test_a_part_of_another_file_is_replaced(server, get, tmp_path):
    (tmp_path / "datasets").mkdir()
    part = tmp_path / "datasets" / "data.bin.part"
    for wrong in (b"x" * 1000, b"x" * (len(CONTENT) + 5)):
        part.write_bytes(wrong)
        assert Path(get(file_hash=SHA, force_download=True)).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything(server, get, tmp_path):
    server.ranges = False
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "data.bin.part").write_bytes(CONTENT[:1000])
    assert Path(get(file_hash=SHA)).read_bytes() == CONTENT


def test_without_a_hash_nothing_is_resumed(server, get, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "data.bin.part").write_bytes(b"x" * 1000)
    assert Path(get()).read_bytes() == CONTENT
    assert server.requests[0][1] is None


def test_without_network_the_message_says_where_to_put_the_file(tmp_path):
    with pytest.raises(OSError, match="put it at .*data.bin") as caught:
        get_file(origin="http://127.0.0.1:9/data.bin", cache_dir=tmp_path, file_hash=SHA)
    assert SHA in str(caught.value)


def test_a_missing_file_is_not_asked_for_again(server, get):
    server.status = 404
    with pytest.raises(OSError, match="404"):
        get()
    assert len(server.requests) == 1
    server.status = 503
    with pytest.raises(OSError, match="503"):
        get()
    assert len(server.requests) == 4


def make_tar(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                file.addfile(info)


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if not isinstance(content, bytes):
                info.external_attr, content = 0o120777 << 16, b"/etc/passwd"
            file.writestr(info, content)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_archives_are_unpacked(make, tmp_path):
    make(tmp_path / "a", {"set/one.txt": b"1", "set/deep/two.txt": b"22"})
    unpack(tmp_path / "a", tmp_path / "out")
    assert (tmp_path / "out" / "set" / "deep" / "two.txt").read_bytes() == b"22"
    make(tmp_path / "a", {"new.txt": b"3"})
    unpack(tmp_path / "a", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new.txt"], "the folder is replaced, not mixed"


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:evil"])
def test_names_that_lead_out_are_refused(make, name, tmp_path):
    make(tmp_path / "a", {"good.txt": b"1", name: b"2"})
    with pytest.raises(ValueError, match="leads out"):
        unpack(tmp_path / "a", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a"], "nothing is left, not even the good file"


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_links_are_refused(make, tmp_path):
    make(tmp_path / "a", {"link": (tarfile.SYMTYPE, "/etc/passwd")})
    with pytest.raises(ValueError, match="link or device"):
        unpack(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(kind, tmp_path):
    make_tar(tmp_path / "a", {"strange": (kind, "target")})
    with pytest.raises(ValueError, match="link or device"):
        unpack(tmp_path / "a", tmp_path / "out")


def test_doubles_and_foreign_files_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr("one", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("one", b"2")
    with pytest.raises(ValueError, match="same name"):
        unpack(tmp_path / "a", tmp_path / "out")
    (tmp_path / "b").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="no tar or zip archive"):
        unpack(tmp_path / "b", tmp_path / "out")
    with pytest.raises(ValueError, match="archive_format"):
        unpack(tmp_path / "b", tmp_path / "out", "rar")


def test_get_file_unpacks_once(tmp_path):
    make_tar(tmp_path / "set.tar.gz", {"a.txt": b"1"})
    origin = (tmp_path / "set.tar.gz").as_uri()
    folder = get_file("set", origin=origin, extract=True, cache_dir=tmp_path / "cache")
    assert folder.endswith("datasets/set")
    assert Path(folder, "a.txt").read_text() == "1"
    Path(folder, "mine.txt").touch()
    get_file("set", origin=origin, untar=True, cache_dir=tmp_path / "cache")
    assert Path(folder, "mine.txt").read_text() == ""
    assert get_file("set.tar.gz", origin=origin, extract=True, cache_dir=tmp_path / "cache").endswith("set_extracted")
