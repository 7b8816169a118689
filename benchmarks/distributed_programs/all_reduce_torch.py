"""All-reduce of 100 MB in buckets of 8 MB."""

import statistics
import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
torch.set_num_threads(1)
buckets = [torch.ones(2 << 20) for _ in range(12)]
seconds = []
for _ in range(12):
    dist.barrier()
    start = time.perf_counter()
    for bucket in buckets:
        dist.all_reduce(bucket)
    seconds.append(time.perf_counter() - start)
    for bucket in buckets:
        bucket[:] = 1
if dist.get_rank() == 0:
    print("seconds", statistics.median(seconds[2:]))
dist.destroy_process_group()
