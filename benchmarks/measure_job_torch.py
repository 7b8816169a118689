"""Fine-tune MobileNetV2 on a folder of photos with PyTorch, written by hand as with torchvision; prints one line of JSON.

python benchmarks/measure_job_torch.py FOLDER [--augment]      (fields of measure_job_keras.py)
"""

import argparse
import os
import pathlib
import random

import numpy as np
import torch
import torch.nn.functional as F
from job_files import SIZE
from measure_job_keras import BATCH, HEAD_EPOCHS, RATE
from PIL import Image
from timing import clock, peak_mb, print_result
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch_nets import CHANNELS_LAST, mobilenet


class ImageFolder(Dataset):
    """Photos of a folder with a sub-folder a class: resized, perhaps flipped, turned and zoomed, from -1 to 1."""

    def __init__(self, folder, augment=False):
        self.files = [(f, label) for label, d in enumerate(sorted(folder.iterdir())) for f in sorted(d.iterdir())]
        self.augment = augment

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file, label = self.files[index]
        image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if self.augment:
            image = augmented(image)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(127.5).sub(1), label


def augmented(image):
    """The image as RandomHorizontalFlip and RandomAffine of torchvision would have it."""
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    zoom = random.uniform(0.9, 1.1)
    inner = round(SIZE / zoom)
    left = (SIZE - inner) // 2
    image = image.rotate(random.uniform(-18, 18), Image.Resampling.BILINEAR)
    return image.transform((SIZE, SIZE), Image.Transform.EXTENT, (left, left, left + inner, left + inner), 2)


def network(folder):
    """(the network without its head, the head), with the weights of the job."""
    base, arrays = mobilenet(), np.load(folder / "base.npz")
    weights = (torch.from_numpy(arrays[name]) for name in arrays.files)
    with torch.no_grad():
        for module in base.modules():
            if isinstance(module, nn.Conv2d):
                axes = (2, 3, 0, 1) if module.groups > 1 else (3, 2, 0, 1)
                module.weight.copy_(next(weights).permute(axes))
            elif isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.copy_(next(weights))
    return base.to(memory_format=CHANNELS_LAST), nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 2))


def loader(data, shuffle):
    return DataLoader(data, BATCH, shuffle=shuffle, num_workers=os.cpu_count(), persistent_workers=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--augment", action="store_true")
    given = options.parse_args()
    torch.manual_seed(0)
    start = clock()
    base, head = network(given.folder)
    train, val = (
        loader(ImageFolder(given.folder / "train", given.augment), True),
        loader(ImageFolder(given.folder / "val"), False),
    )

    def epoch(trains_base, optimizer):
        base.eval()  # batch normalization keeps its statistics
        head.train()
        for x, y in train:
            with torch.set_grad_enabled(trains_base):
                features = base(x.to(memory_format=CHANNELS_LAST))
            optimizer.zero_grad()
            F.cross_entropy(head(features), y).backward()
            optimizer.step()
        head.eval()
        with torch.inference_mode():
            right = sum((head(base(x.to(memory_format=CHANNELS_LAST))).argmax(1) == y).sum().item() for x, y in val)
        print(f"validation accuracy {right / len(val.dataset):.3f}")

    base.requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), RATE, fused=True)
    for _ in range(HEAD_EPOCHS):
        epoch(False, optimizer)
    head_s = clock() - start
    base.requires_grad_(True)
    epoch(True, torch.optim.Adam([*base.parameters(), *head.parameters()], RATE / 10, fused=True))
    total_s = clock() - start
    print_result(head_s=head_s, all_s=total_s - head_s, total_s=total_s, rss_mb=peak_mb())


if __name__ == "__main__":
    main()
