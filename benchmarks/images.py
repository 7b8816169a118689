"""JPEG files to batches of one size: images in a second of the processor, and memory, against tf.data, grain and PyTorch's DataLoader.

    python benchmarks/images.py [--files 1000] [--photo 96 128] [--size 64 64] [--passes 3] [--rounds 3] [--cache DIR] [--write]

Peers come from the environments that `peers.py` makes. A second of the processor is one that all processes of a library used,
workers too, after a first pass that is not counted; libraries take turns. Memory is the peak of the main process.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import peers
import processor
import report

BATCH = 32
RESULTS = pathlib.Path(__file__).with_suffix(".json")
BETWEEN = "<!-- images: written by benchmarks/images.py -->", "<!-- end of images -->"
VERSIONS = {"keras", "tensorflow-cpu", "torch"}
WHAT = """\
JPEG files of two classes, as many pixels high and wide, to batches of 32 of one size, by one process but for DataLoader's workers.
Pillow alone: without simplejpeg (`pip install "mlkit-engine[images]"`). antialias: not the pixels of the others, but those of a filter that
sees all of the photo, which may be decoded at a part of its size. Target: 1.0 of the best peer."""
LIBRARIES = {  # name -> environment, None: that of this script
    "mlkit": None,
    "mlkit, Pillow alone": None,
    "mlkit, antialias": None,
    "tf.data": "tensorflow",
    "grain": "tensorflow",
    "DataLoader": "torch",
    "DataLoader, 2 workers": "torch",
}


def write_files(folder, count, photo):
    """Two classes of JPEG files, mosaics of aerial photos."""
    from PIL import Image

    from mlkit.datasets import aerial_trees

    (tiles, _), _ = aerial_trees.load_data()
    rng = np.random.default_rng(0)
    rows, columns = (-(-side // tiles.shape[1]) for side in photo)
    for i in range(count):
        grid = tiles[rng.integers(0, len(tiles), rows * columns)].reshape(rows, columns, *tiles.shape[1:])
        mosaic = grid.transpose(0, 2, 1, 3, 4).reshape(rows * tiles.shape[1], -1, 3)
        where = pathlib.Path(folder, "ab"[i % 2])
        where.mkdir(exist_ok=True)
        Image.fromarray(mosaic[: photo[0], : photo[1]]).save(where / f"{i:05}.jpg", quality=90)


def passes_of(library, folder, size):
    """A function that goes through the files once and returns their number."""
    if library.startswith("DataLoader"):
        return torch_passes(folder, size, workers=2 if "workers" in library else 0)
    options = dict(image_size=size, batch_size=BATCH, verbose=False, seed=0)
    if library.startswith("mlkit"):
        import mlkit
        from mlkit.data import decode

        if "alone" in library:
            decode.is_installed = lambda package: False
        options |= {"antialias": True} if "antialias" in library else {}
        data = mlkit.utils.image_dataset_from_directory(folder, **options)
        return lambda: sum(len(x) for x, _ in data)
    import keras

    data = keras.utils.image_dataset_from_directory(folder, **options, format="grain" if library == "grain" else "tf")
    return lambda: sum(len(x) for x, _ in data)


def torch_passes(folder, size, workers):
    import torch
    from PIL import Image

    paths = sorted(pathlib.Path(folder).glob("*/*.jpg"))

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, i):
            with Image.open(paths[i]) as image:
                pixels = np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR), "float32")
            return torch.from_numpy(pixels), i % 2

    loader = torch.utils.data.DataLoader(Files(), BATCH, shuffle=True, num_workers=workers)
    return lambda: sum(len(x) for x, _ in loader)


def used():
    """Seconds of the processor that this process and those that it has waited for have used."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(library, folder, size, passes):
    one_pass = passes_of(library, folder, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one_pass()
    start = used()
    seen = sum(one_pass() for _ in range(passes))
    seconds = used() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rate": seen / seconds, "peak": peak / 1024, "grown": (peak - before) / 1024}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--photo", type=int, nargs=2, default=(96, 128), help="height and width of the files")
    options.add_argument("--size", type=int, nargs=2, default=(64, 64), help="height and width wanted")
    options.add_argument("--only", nargs="*", default=LIBRARIES, help="of the libraries")
    options.add_argument("--passes", type=int, default=3)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cache", default=peers.CACHE)
    options.add_argument("--write", action="store_true", help="write docs/performance.md")
    options.add_argument("--library", choices=LIBRARIES, help="measure one in this process, with --folder, and print JSON")
    options.add_argument("--folder")
    given = options.parse_args()
    if given.library:
        print(json.dumps(measure(given.library, given.folder, tuple(given.size), given.passes)))
        return False
    return report.carry_out(given, RESULTS, run, table, missed, WHAT, BETWEEN)


def run(given):
    """Measure the libraries in turns; other sizes of photos keep their figures."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sizes": {}}
    versions = ", ".join(v for v in peers.versions(given.cache) if v.partition(" ")[0] in VERSIONS)
    about = f"{processor.about()}; {given.rounds} rounds of {given.passes} passes; {versions}."
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder, given.files, given.photo)
        found = {name: [] for name in given.only}
        for _ in range(given.rounds):
            for name in given.only:
                environment = LIBRARIES[name]
                python = sys.executable if environment is None else peers.python_of(given.cache, environment)
                if os.path.exists(python):
                    found[name].append(measured_apart(python, name, folder, given))
    figures = {name: {key: statistics.median(f[key] for f in each) for key in each[0]} for name, each in found.items() if each}
    case = f"{given.files} files, {' x '.join(map(str, given.photo))} to {' x '.join(map(str, given.size))}"
    kept["sizes"][case] = dict(about=about, figures=figures)
    kept["about"] = report.runs(kept["sizes"])
    return kept


def of_the_best(figures):
    """Library -> its rate / that of the best peer."""
    best = max((f["rate"] for name, f in figures.items() if not name.startswith("mlkit")), default=float("nan"))
    return {name: f["rate"] / best for name, f in figures.items()}


def table(kept):
    heads = (
        "photos",
        "library",
        "images in a second of the processor",
        "of the best peer",
        "peak memory, MB",
        "of it since the import",
    )
    lines = [report.row(*heads), report.row(*["---"] * len(heads))]
    for case, part in kept["sizes"].items():
        ratios = of_the_best(part["figures"])
        for name, f in part["figures"].items():
            ratio = f"**{ratios[name]:.2f}**" if name.startswith("mlkit") and ratios[name] >= 1 else f"{ratios[name]:.2f}"
            lines.append(report.row(case, name, f"{f['rate']:.0f}", ratio, f"{f['peak']:.0f}", f"{f['grown']:.0f}"))
    return "\n".join(lines)


def missed(kept):
    """Sizes of which a peer reads more photos."""
    ratios = {case: of_the_best(part["figures"]).get("mlkit") for case, part in kept["sizes"].items()}
    return [f"{case}: {ratio:.2f} of the best peer" for case, ratio in ratios.items() if ratio and ratio < 1]


def measured_apart(python, name, folder, given):
    """`measure` in a process of its own."""
    command = [python, __file__, "--library", name, "--folder", folder, "--passes", str(given.passes)]
    command += ["--size", *map(str, given.size)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "torch" if "torch" in python else "tensorflow"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
