"""Hashes of texts that are the same on every machine and in every library: FarmHash64's fingerprint and SipHash-2-4.

TensorFlow's string hashing uses them, and so Keras's layers, whose bins these must be.
Pike and Alakuijala, FarmHash, 2014; Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
"""

_MASK = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def _rotated(x, right):
    x &= _MASK
    return (x >> right | x << (64 - right)) & _MASK


def _mixed(x):
    x &= _MASK
    return x ^ (x >> 47)


def _combined(u, v, factor):
    a = _mixed((u ^ v) * factor)
    return _mixed((v ^ a) * factor) * factor & _MASK


def farm_fingerprint(data: bytes) -> int:
    """FarmHash64's fingerprint of bytes.

    >>> farm_fingerprint(b"hello") == 13009744463427800296
    True
    """
    n = len(data)
    if n > 64:
        return _of_long(data)
    word = lambda at: int.from_bytes(data[at : at + 8], "little")
    factor = _K2 + 2 * n
    if n <= 16:
        return _of_short(data, word, factor)
    if n <= 32:
        a, b, c, d = word(0) * _K1, word(8), word(n - 8) * factor, word(n - 16) * _K2
        return _combined(_rotated(a + b, 43) + _rotated(c, 30) + d & _MASK, a + _rotated(b + _K2, 18) + c & _MASK, factor)
    a, b, c, d = word(0) * _K2, word(8), word(n - 8) * factor, word(n - 16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d & _MASK
    z = _combined(y, a + _rotated(b + _K2, 18) + c & _MASK, factor)
    e, f = word(16) * factor, word(24)
    g, h = (y + word(n - 32)) * factor, (z + word(n - 24)) * factor
    return _combined(_rotated(e + f, 43) + _rotated(g, 30) + h & _MASK, e + _rotated(f + a, 18) + g & _MASK, factor)


def _of_short(data, word, factor):
    n = len(data)
    if n >= 8:
        a, b = word(0) + _K2, word(n - 8)
        c = _rotated(b, 37) * factor + a & _MASK
        return _combined(c, (_rotated(a, 25) + b) * factor & _MASK, factor)
    if n >= 4:
        first, last = (int.from_bytes(part, "little") for part in (data[:4], data[-4:]))
        return _combined(n + (first << 3) & _MASK, last, factor)
    if n:
        y, z = data[0] + (data[n >> 1] << 8), n + (data[-1] << 2)
        return _mixed(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _of_long(data):
    n = len(data)
    word = lambda at: int.from_bytes(data[at : at + 8], "little")

    def seeded(at, a, b):
        """Two sums over 32 bytes."""
        a += word(at)
        b = _rotated(b + a + word(at + 24), 21)
        c = a
        a += word(at + 8) + word(at + 16)
        return a + word(at + 24) & _MASK, b + _rotated(a, 44) + c & _MASK

    def a_round(at, x, y, z, v, w, factor, w_factor, v_factor):
        x = _rotated(x + y + v[0] + word(at + 8), 37) * factor
        y = _rotated(y + v[1] + word(at + 48), 42) * factor
        x = (x ^ w[1] * w_factor) & _MASK
        y = y + v[0] * v_factor + word(at + 40) & _MASK
        z = _rotated(z + w[0], 33) * factor & _MASK
        v = seeded(at, v[1] * factor, x + w[0])
        w = seeded(at + 32, z + w[1], y + word(at + 16))
        return z, y, x, v, w

    x, y = 81 * _K2 + word(0) & _MASK, 81 * _K1 + 113 & _MASK
    z, v, w = _mixed(y * _K2 + 113) * _K2 & _MASK, (0, 0), (0, 0)
    end = (n - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = a_round(at, x, y, z, v, w, _K1, 1, 1)
    factor = _K1 + ((z & 255) << 1)
    w = (w[0] + (n - 1 & 63), w[1])
    v = (v[0] + w[0] & _MASK, v[1])
    w = (w[0] + v[0] & _MASK, w[1])
    x, y, z, v, w = a_round(n - 64, x, y, z, v, w, factor, 9, 9)
    first = _combined(v[0], w[0], factor) + _mixed(y) * _K0 + z & _MASK
    return _combined(first, _combined(v[1], w[1], factor) + x & _MASK, factor)


def combined_fingerprint(first: int, second: int) -> int:
    """One fingerprint of two, as TensorFlow combines them."""
    result = first ^ _CAT
    result ^= _mixed(second * _CAT) * _CAT
    return _mixed(_mixed(result * _CAT) * _CAT)


def sip_hash(data: bytes, key) -> int:
    """SipHash-2-4 of bytes. key: two integers of 64 bits.

    >>> sip_hash(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0xA129CA6149BE45E5  # the paper's test vector
    True
    """
    k0, k1 = (k & _MASK for k in key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        m = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= m
        _sip_rounds(v, 2)
        v[0] ^= m
    v[2] ^= 255
    _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_rounds(v, count):
    left = lambda x, n: _rotated(x, 64 - n)
    for _ in range(count):
        v[0] = v[0] + v[1] & _MASK
        v[1] = left(v[1], 13) ^ v[0]
        v[0] = left(v[0], 32)
        v[2] = v[2] + v[3] & _MASK
        v[3] = left(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & _MASK
        v[3] = left(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & _MASK
        v[1] = left(v[1], 17) ^ v[2]
        v[2] = left(v[2], 32)
