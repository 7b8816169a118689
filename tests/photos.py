"""Folders of photos that tests share."""

import os

import numpy as np

import mlkit


def dark_and_light(folder):
    """Thirty photos of each of two classes that their brightness tells apart; d07 lies in the wrong one. Returns the folder."""
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 40), ("light", 180)):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            pixels = np.clip(rng.normal(shade, 15, (16, 16, 3)), 0, 255)
            mlkit.utils.save_img(folder / name / f"{name[0]}{i:02d}.png", pixels, scale=False)
    os.rename(folder / "dark" / "d07.png", folder / "light" / "d07.png")
    return folder
