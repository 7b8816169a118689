"""The gallery's series: what a watch measures, and clips of a drawing program for children with what is said in them."""

import io
import re

import numpy as np
from data import members

from mlkit.data.plain_pickle import load_npy

FOLDER = "./usr/share/tuxpaint/stamps/"


def watch(made: bool = False) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, list[str]]:
    """Series of a watch's accelerometer and gyroscope, float32 (steps, 6) at 50 a second, the exercise and subject of each, and the
    exercises' names: 140 series, 7 shoulder exercises of 10 subjects, each on both sides.
    """
    names = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]
    if made:
        rng = np.random.default_rng(0)
        subjects, exercises = np.divmod(np.arange(28), 7)
        return [rng.normal(size=(200, 6)).astype("float32") for _ in range(28)], exercises, subjects, names
    (file,) = members("seglearn", "seglearn/data/watch_dataset.npy").values()
    found = load_npy(io.BytesIO(file)).item()
    return [x.astype("float32") for x in found["X"]], found["y"].astype(int), found["subject"].astype(int), found["y_labels"]


def clips(language: str, rate: int, longest: float, made: bool = False) -> list[tuple[str, np.ndarray]]:
    """Text and samples (float32, `rate` a second) of clips of a language, such as "ro", that last at most `longest` seconds.

    Texts are in small letters; those with digits are left out. `made=True` needs no network: a tone for each of three letters.
    """
    if made:
        rng = np.random.default_rng(0)
        texts = ["".join(rng.choice(list("abc"), 3)) for _ in range(24)]
        time = np.arange(int(rate * min(longest, 0.6) / 3))
        return [(t, np.concatenate([np.sin((0.2 + ord(c) % 5 / 5) * time) for c in t]).astype("float32")) for t in texts]
    import soundfile  # of the extra `gallery`
    from scipy.signal import resample_poly

    end, found = f"_desc_{language}.ogg", []
    files = members("tuxpaint", f"{FOLDER}*{end}", f"{FOLDER}*.txt")
    for name, content in files.items():
        if not name.endswith(end):
            continue
        text = files.get(name.removesuffix(end) + ".txt", b"").decode("utf-8", "replace")
        line = re.search(rf"^{language}\.utf8=(.*)$", text, re.MULTILINE)
        if line is None or re.search(r"[\d$€=]", line[1]):
            continue
        samples, own = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
        if len(samples) <= longest * own:
            letters = " ".join(re.findall(r"[^\W\d_]+", line[1].lower().replace("ş", "ș").replace("ţ", "ț")))
            found.append((letters, resample_poly(samples.mean(1), rate, own).astype("float32")))
    return found
