"""A training step of a model by name, of a batch of 64 in all, by DistributedDataParallel."""

import statistics
import sys
import time

import torch
import torch.distributed as dist
from torch import nn

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()


class Transformer(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        make = lambda: nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
        self.blocks, self.head = nn.Sequential(make(), make()), nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.blocks(x).mean(1))


def convolutions():
    parts, channels = [], 3
    for filters in (32, 64, 64):
        parts += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64 * 16, 10))


SHAPES = {"mlp": (512,), "convolutions": (3, 32, 32), "transformer": (64, 64)}
MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)),
    "convolutions": convolutions,
    "transformer": Transformer,
}
name = sys.argv[1]
model = nn.parallel.DistributedDataParallel(MODELS[name]())
optimizer = torch.optim.SGD(model.parameters(), 0.01)
x, y = torch.randn(64 // size, *SHAPES[name]), torch.arange(64 // size) % 10
seconds = []
for _ in range(25):
    start = time.perf_counter()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    seconds.append(time.perf_counter() - start)
if rank == 0:
    print("seconds", statistics.median(seconds[5:]))
dist.destroy_process_group()
