"""GPUs as cuDNN has them described: what its heuristics and engines ask of a card."""

_COMMON = dict(
    maxGridSize=[2147483647, 65535, 65535], maxBlockSize=[1024, 1024, 64], maxThreadsPerBlock=1024, warpSize=32, regsPerBlock=65536,
    maxRegistersPerSM=65536, maxSharedMemoryPerBlock=49152, oversizedSharedMemoryPerBlock=0, smCountOrigin=0, supportCoopLaunch=1,
    isTccDriver=0, pciDeviceId=0, cudaDeviceId=0, driverVer=13000,
)  # fmt: skip


def _gpu(name, capability, processors, memory, shared, clock, memory_clock, bus, cache, threads=2048, blocks=32, reserved=1024):
    """memory, shared, cache: bytes; clocks in kHz; bus in bits; threads, blocks: most of a multiprocessor."""
    return dict(
        _COMMON, deviceName=name, deviceVer=capability, multiProcessorCount=processors, totalGlobalMem=memory, smClockRateKHz=clock,
        memClockRateKHz=memory_clock, memoryBusWidth=bus, l2CacheSize=cache, maxSharedMemoryPerBlockOptin=shared,
        reservedSharedMemoryPerBlock=reserved, maxThreadsPerSM=threads, maxCtasPerSM=blocks,
    )  # fmt: skip


_MB, _GB = 1 << 20, 1 << 30

GPUS = {
    "H100": _gpu("NVIDIA H100 80GB HBM3", 900, 132, 79 * _GB, 232448, 1980000, 2619000, 5120, 50 * _MB),
    "A100": _gpu("NVIDIA A100-SXM4-40GB", 800, 108, 39 * _GB, 166912, 1410000, 1215000, 5120, 40 * _MB),
    "T4": _gpu("Tesla T4", 750, 40, 14 * _GB, 65536, 1590000, 5001000, 256, 4 * _MB, threads=1024, blocks=16, reserved=0),
    "4090": _gpu(
        "NVIDIA GeForce RTX 4090", 890, 128, 23 * _GB, 101376, 2520000, 10501000, 384, 72 * _MB, threads=1536, blocks=24
    ),
    "B200": _gpu("NVIDIA B200", 1000, 148, 178 * _GB, 232448, 1965000, 3996000, 7680, 126 * _MB),
    "5090": _gpu(
        "NVIDIA GeForce RTX 5090", 1200, 170, 31 * _GB, 101376, 2407000, 14001000, 512, 96 * _MB, threads=1536, blocks=24
    ),
}
