"""get_file: a file from the network, checked, kept, and never half there."""

import hashlib
import os
import sys

from mlkit.core.deferred import Deferred
from mlkit.core.messages import inside
from mlkit.core.settings import cache_folder
from mlkit.core.typing import FilePath
from mlkit.data.archive import unpack
from mlkit.utils import console

urllib_error, urllib_parse, urllib_request = Deferred("urllib.error"), Deferred("urllib.parse"), Deferred("urllib.request")
http_client, tqdm = Deferred("http.client"), Deferred("tqdm")

_CHUNK = 1 << 20
_ATTEMPTS = 3
_TIMEOUT = 60.0  # seconds without a byte


def get_file(
    fname: FilePath | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str = "auto",
    cache_dir: FilePath | None = None,
    force_download: bool = False,
) -> str:
    """Download a file once, and unpack it if asked to.

    An interrupted download is resumed where its hash is known; the file appears under its name only when it is complete and
    its hash is right.

    Args:
        fname: name to keep the file under; the last part of the address unless given.
        origin: address (http, https, ftp or file).
        untar: the same as `extract=True, archive_format="tar"`.
        md5_hash: MD5 of the file as hexadecimal digits.
        file_hash: SHA-256 (64 digits) or MD5 (32 digits) of the file.
        cache_subdir: folder within the cache.
        hash_algorithm: "sha256", "md5" or "auto" (by the number of digits).
        extract: whether to unpack the file, a tar or zip archive.
        archive_format: "auto", "tar", "zip", or a list of these.
        cache_dir: the cache; MLKIT_HOME or `~/.mlkit` unless given.
        force_download: whether to fetch the file though it is there.

    Returns:
        Path of the file, or of the folder it was unpacked to.

    Raises:
        OSError: the file could not be fetched; the message says where to put it by hand.
        ValueError: what came has another hash.
    """
    if origin is None:
        raise ValueError("get_file: `origin`, the address of the file, must be given.")
    fname = _file_name(fname, origin)
    digest = _expected(md5_hash, file_hash, hash_algorithm)
    folder = os.path.join(os.path.expanduser(cache_dir or cache_folder()), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    if not (extract or untar):
        target = os.path.join(folder, fname)
        _fetch_unless_there(origin, target, digest, force_download)
        return target
    stem, dot, _ = fname.partition(".")
    archive = os.path.join(folder, fname if dot else f"{fname}_archive")
    unpacked = os.path.join(folder, f"{stem}_extracted" if dot else fname)
    fetched = _fetch_unless_there(origin, archive, digest, force_download)
    if fetched or not os.path.isdir(unpacked):
        unpack(archive, unpacked, "tar" if untar else archive_format)
    return unpacked


def _file_name(fname, origin):
    name = os.fspath(fname) if fname else os.path.basename(urllib_parse.urlsplit(origin).path)
    if not name or name in (".", "..") or name != os.path.basename(name):
        raise ValueError(f"get_file: {name!r} is no file name. Pass `fname` without folders; `cache_dir` says where it goes.")
    return name


def _expected(md5_hash, file_hash, algorithm):
    """(algorithm, hexadecimal digits) or None."""
    if md5_hash is not None and file_hash is None:
        file_hash, algorithm = md5_hash, "md5"
    if file_hash is None:
        return None
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    if algorithm not in ("sha256", "md5"):
        raise ValueError(f"get_file: `hash_algorithm` must be 'sha256', 'md5' or 'auto', but is {algorithm!r}.")
    return algorithm, file_hash.lower()


def hash_file(path: FilePath, algorithm: str = "sha256") -> str:
    """The hash of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _fetch_unless_there(origin, target, digest, force):
    """Make `target` exist; whether it had to be fetched."""
    if os.path.exists(target) and not force:
        if digest is None or hash_file(target, digest[0]) == digest[1]:
            return False
        console.print_message(f"{target} is there, but its {digest[0]} hash is not the expected one: it is fetched again.")
    console.print_message(f"Downloading {origin}")
    part = target + ".part"
    resumed = _fetch(origin, target, part, digest)
    if digest is not None and hash_file(part, digest[0]) != digest[1] and resumed:
        os.remove(part)  # the file may have changed between the two halves
        _fetch(origin, target, part, digest)
    if digest is not None:
        found = hash_file(part, digest[0])
        if found != digest[1]:
            os.remove(part)
            raise ValueError(
                f"{origin} gave a file whose {digest[0]} hash is {found}, but {digest[1]} is expected. It was thrown away. "
                "The download was altered on its way, or the file at that address is a new one."
            )
    os.replace(part, target)
    return True


def _fetch(origin, target, part, digest):
    """Fill `part`, in several attempts; whether a part that was there was made use of."""
    if digest is None and os.path.exists(part):
        os.remove(part)  # without a hash nobody would notice that the halves do not belong together
    resumed = os.path.exists(part)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _transfer(origin, part)
            return resumed
        except (OSError, http_client.HTTPException) as error:
            final = isinstance(error, urllib_error.HTTPError) and error.code < 500
            if final or attempt == _ATTEMPTS:
                raise OSError(_help(origin, target, digest, error)) from error


def _help(origin, target, digest, error):
    check = f" (its {digest[0]} hash is {digest[1]})" if digest else ""
    return (
        f"{origin} could not be downloaded: {inside(error)}. On a machine without network access, fetch the file elsewhere{check} "
        f"and put it at {target}"
    )


def _transfer(origin, part):
    """Append to `part` what is missing of it."""
    have = os.path.getsize(part) if os.path.exists(part) else 0
    request = urllib_request.Request(origin, headers={"User-Agent": "mlkit"})
    if have and origin.startswith("http"):
        request.add_header("Range", f"bytes={have}-")
    response = _open(request, part)
    if response is None:
        return
    with response:
        if have and not _continues(response, have):
            have = 0  # the server sends the whole file
        left = response.headers.get("Content-Length")
        total = None if left is None else have + int(left)
        with open(part, "ab" if have else "wb") as file, _bar(os.path.basename(part).removesuffix(".part"), total, have) as bar:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and os.path.getsize(part) < total:
            raise OSError(f"the connection ended after {os.path.getsize(part)} of {total} bytes")


def _open(request, part):
    """The response; None if the server says that nothing is left to send."""
    try:
        return urllib_request.urlopen(request, timeout=_TIMEOUT)
    except urllib_error.HTTPError as error:
        if error.code == 416:  # range not satisfiable: the part is complete, or no part of this file
            total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
            if total == str(os.path.getsize(part)):
                return None
            os.remove(part)
            raise OSError("the partial file was longer than the file") from error
        raise


def _continues(response, have):
    return response.status == 206 and (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _bar(name, total, have):
    return tqdm.tqdm(
        desc=name, total=total, initial=have, unit="B", unit_scale=True, file=sys.stdout, disable=not console.is_live()
    )
