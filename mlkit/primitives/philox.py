"""Philox4x64-10 written over an array module, for devices whose libraries lack it.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.3.
"""

from types import ModuleType
from typing import Any

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF


def philox(xp: ModuleType, key: Any, n: int) -> Any:
    """n uint64 words for a key of two uint32 (the second word of the 128-bit key is 0), the counter running from 1."""
    blocks = -(-n // 4)
    k0 = key[:1].astype("uint64") | key[1:].astype("uint64") << xp.uint64(32)
    k1 = xp.zeros_like(k0)
    c0 = xp.arange(1, blocks + 1).astype("uint64")
    c1 = c2 = c3 = xp.zeros_like(c0)
    for turn in range(10):
        if turn:
            k0, k1 = k0 + xp.uint64(_WEYL[0]), k1 + xp.uint64(_WEYL[1])
        high0, low0 = _multiply(xp, c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(xp, c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    return xp.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:n]


def _multiply(xp: ModuleType, a: Any, constant: int) -> tuple[Any, Any]:
    """(upper, lower) 64 bits of the product, by halves of 32 bits."""
    m_low, m_high, half = xp.uint64(constant & _LOW), xp.uint64(constant >> 32), xp.uint64(32)
    a_low, a_high = a & xp.uint64(_LOW), a >> half
    middle = a_low * m_high + (a_low * m_low >> half)
    cross = a_high * m_low + (middle & xp.uint64(_LOW))
    return a_high * m_high + (middle >> half) + (cross >> half), a * xp.uint64(constant)
