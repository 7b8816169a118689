"""From the command to the end of the first step of a small model."""

import os
import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
torch.nn.functional.mse_loss(model(torch.ones(4, 8)), torch.ones(4, 4)).backward()
optimizer.step()
if dist.get_rank() == 0:
    print("seconds", time.time() - float(os.environ["STARTED"]))
dist.destroy_process_group()
