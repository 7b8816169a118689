"""Build what a release uploads, and prove it: python .ci/release.py --out dist

An sdist and a wheel are built from what git holds, twice, and must come out the same to the byte. Their metadata is checked, each is
installed in an empty environment and runs the demo, and the notes of the release are taken from CHANGELOG.md. Nothing is uploaded.
Needs git, and the packages `build` and `twine`, which it installs in an environment of its own.
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 3_000_000  # bytes of the wheel beside the data that it carries
DATA = "mlkit/data/resources/"


def run(*command, **kwargs) -> str:
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout


def environment(folder: Path, *packages) -> Path:
    """The Python of a new environment."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if packages:
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return python


def notes(version: str) -> str:
    """The part of CHANGELOG.md about a version, or about what is not released yet."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## \[?([^\]\s]+)\]?[^\n]*\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    found = parts.get(version) or parts.get("Unreleased")
    if not found or not found.strip():
        raise SystemExit(f"CHANGELOG.md says nothing of {version}.")
    return found.strip() + "\n"


def built(python: Path, work: Path, when: str) -> list[Path]:
    """sdist and wheel of what git holds, in a folder of their own."""
    tree = work / "tree"
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "--format=tar", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    run(python, "-m", "build", "--outdir", work / "dist", tree, env=os.environ | {"SOURCE_DATE_EPOCH": when})
    for sdist in (work / "dist").glob("*.tar.gz"):
        settled(sdist, int(when))
    return sorted((work / "dist").iterdir())


def settled(path: Path, when: int) -> None:
    """Write a .tar.gz anew, with one time and one owner for all files: setuptools writes those of the machine."""
    inner = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=inner, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old, key=lambda m: m.name):
            content = old.extractfile(member)
            member.mtime, member.uid, member.gid, member.uname, member.gname, member.pax_headers = when, 0, 0, "", "", {}
            new.addfile(member, content)
    path.write_bytes(gzip.compress(inner.getvalue(), mtime=when))


def weigh(wheel: Path) -> None:
    """Refuse a wheel that grew beyond what users were told."""
    import zipfile

    with zipfile.ZipFile(wheel) as files:
        data = sum(f.compress_size for f in files.infolist() if f.filename.startswith(DATA))
        rest = sum(f.compress_size for f in files.infolist()) - data
    print(f"{wheel.name}: {rest / 1e6:.2f} MB, and {data / 1e6:.2f} MB of data that the demo and the tutorials read")
    if rest > LARGEST:
        raise SystemExit(f"The wheel has {rest:,} bytes beside its data; at most {LARGEST:,} were meant.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for the sdist, the wheel and the notes")
    parser.add_argument("--no-demo", action="store_true", help="install, but do not train")
    options = parser.parse_args()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    words = notes(version)
    when = run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        python = environment(work / "tools", "build", "twine")
        first, second = (built(python, work / name, when) for name in ("first", "second"))
        for a, b in zip(first, second, strict=True):
            digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in (a, b)]
            if digests[0] != digests[1]:
                raise SystemExit(f"{a.name} came out differently when it was built again.")
            print(digests[0], a.name)
        run(python, "-m", "twine", "check", "--strict", *first)
        for file in first:
            if file.suffix == ".whl":
                weigh(file)
            installed = environment(work / f"of_{file.suffix[1:]}", file)
            print(run(installed, "-m", "mlkit", "--help", cwd=work).splitlines()[0])
            if not options.no_demo:
                print(run(installed, "-m", "mlkit", "demo", cwd=work).splitlines()[-1])
        options.out.mkdir(parents=True, exist_ok=True)
        for file in first:
            (options.out / file.name).write_bytes(file.read_bytes())
    (options.out / "notes.md").write_text(words, encoding="utf-8")
    print(f"Version {version}: {', '.join(sorted(f.name for f in options.out.iterdir()))} in {options.out}")


if __name__ == "__main__":
    sys.exit(main())
