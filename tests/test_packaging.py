"""The package holds what the tree holds: every folder of sources, the digits, and nothing of the tests."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = {"mlkit": ROOT / "mlkit", "mlkit.backends": ROOT / "backends", "mlkit.applications": ROOT / "applications"}


def packages_in_tree():
    found = set()
    for package, folder in SOURCES.items():
        for file in folder.rglob("*.py"):
            found.add(".".join((package, *file.parent.relative_to(folder).parts)))
    return sorted(found)


def files_in(root):
    """Names that the files of a copy of the tree have in the wheel."""
    found = set()
    for package, folder in SOURCES.items():
        for file in (root / folder.name).rglob("*"):
            if file.is_file():
                found.add(f"{package.replace('.', '/')}/{file.relative_to(root / folder.name).as_posix()}")
    return found


def test_every_folder_of_sources_is_listed():
    assert METADATA["tool"]["setuptools"]["packages"] == packages_in_tree()


def test_folders_with_sources_have_an_init():
    for package, folder in SOURCES.items():
        missing = {f.parent for f in folder.rglob("*.py") if not (f.parent / "__init__.py").exists()}
        assert not missing, f"{package}: without __init__.py a folder is a namespace package: {missing}"


def test_dependencies_have_lower_bounds_only():
    project = METADATA["project"]
    pinned = {r for r in project["optional-dependencies"]["litert"] if "==" in r}  # their calls change with each version
    assert {r.partition("==")[0] for r in pinned} == {"litert-converter", "ai-edge-litert", "ai-edge-quantizer"}
    for requirement in {*sum(project["optional-dependencies"].values(), project["dependencies"])} - pinned:
        assert ">=" in requirement, requirement
        of_cuda = requirement.startswith(("cupy-", "nvidia-"))  # whose next versions are known to be others: see pyproject.toml
        assert of_cuda or not any(mark in requirement.partition(";")[0] for mark in ("<", "==", "~=")), requirement


def test_top_level_holds_nothing_else():
    folders = {"applications", "backends", "benchmarks", "docs", "mlkit", "notebooks", "tests"}
    files = {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "CHANGELOG.md",
        "CITATION.cff",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    }
    made_by_builds = {"build", "dist", "mlkit_engine.egg-info"}
    assert {f.name for f in ROOT.iterdir() if f.name[0] != "."} - made_by_builds <= folders | files


def test_a_checkout_works_without_being_installed():
    """Also beside an installed copy: the folder comes first, and finds its own other parts."""
    code = "import mlkit.applications, mlkit.backends as b; print(float(mlkit.ops.sum(mlkit.ops.ones((2,)))), b.__path__[0])"
    packages = sysconfig.get_path("purelib")
    found = subprocess.run(  # -S: without the editable install's hook
        [sys.executable, "-S", "-c", f"import sys; sys.path.append({packages!r}); {code}"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["2.0", str(ROOT / "backends")]


def test_the_distribution_does_not_take_the_name_of_another_project():
    """`pip install mlkit` would bring something else: no text may offer it, with or without extras."""
    assert METADATA["project"]["name"] == "mlkit-engine"
    for folder in ("mlkit", "backends", "applications", "docs", "notebooks", "."):
        for file in (ROOT / folder).glob("*" if folder == "." else "**/*"):
            if file.suffix in (".py", ".md", ".ipynb"):
                wrong = re.findall(r"pip install \\*[\"']?mlkit(?!-engine)\b.*", file.read_text())
                assert not wrong, f"{file.relative_to(ROOT)}: {wrong}"


@pytest.mark.slow
def test_wheel_holds_the_tree(tmp_path):
    clean = tmp_path / "clean"  # a build folder left over in the tree would put its old files into the wheel
    for folder in SOURCES.values():
        shutil.copytree(folder, clean / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clean)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, clean]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == files_in(clean)
    assert {f"mlkit/data/resources/{name}" for name in ("digits.npz", "aerial_trees.zip", "ATTRIBUTION.md")} <= names


def test_the_packages_are_importable_under_their_names():
    code = "import mlkit, mlkit.backends, mlkit.applications, mlkit.backends.native; print(mlkit.backends.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "mlkit.backends", done.stderr


def test_importing_is_light():
    heavy = ["h5py", "tqdm", "jax", "cupy", "PIL", "ml_dtypes", "matplotlib", "urllib.request", "pandas", "scipy"]
    code = f"import sys, mlkit; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
