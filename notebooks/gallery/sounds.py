"""The gallery's spoken words: clips of a drawing program for children with what is said in them."""

import io
import re

import numpy as np
from data import members

FOLDER = "./usr/share/tuxpaint/stamps/"


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
