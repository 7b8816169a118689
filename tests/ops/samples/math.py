"""Special functions, reductions by segment, the largest elements, Fourier transforms."""

from tests.ops.sample import Bad, P, S, const, cplx, f, i, pos, spd, unit

_IDS = const([0, 2, 2, 0, 3], "int32")
_PAIR = (f(2, 6), f(2, 6))
_SIGNAL = f(2, 40)
_SPECTRUM = (f(2, 5, 9), f(2, 5, 9))

SAMPLES = [
    S("rsqrt", pos(2, 3)),
    *[S(name, f(2, 3)) for name in ("erf", "erfc")],
    S("erfc", const([-3.0, 5.0, 9.0]), _second=False),
    S("erfinv", unit(2, 3)),
    S("erfinv", const([-1.0, -0.999, 0.0, 1.0]), _grad=False),
    *[S(name, pos(2, 3), _keras=False) for name in ("lgamma", "digamma")],
    S("lgamma", const([-2.5, -0.5, 0.3, 40.0]), _keras=False),
    S("view_as_complex", f(3, 2), _grad=False),
    S("view_as_real", cplx(2, 3), _grad=False),
    S("logsumexp", f(2, 3)),
    S("logsumexp", f(2, 3, 4), axis=(0, 2), keepdims=True),
    S("logsumexp", const([-float("inf"), -float("inf")]), _grad=False),
    S("logdet", spd(2, 3, 3)),
    S("segment_sum", f(5, 3), _IDS, num_segments=4),
    S("segment_prod", f(5, 3), _IDS, num_segments=4, _jax="values"),  # JAX has no gradient of products with repeated indices
    S("segment_prod", f(5, 3), _IDS, num_segments=4, _grad=False),
    *[S(name, f(5, 3), _IDS, num_segments=4, _grad=False) for name in ("segment_max", "segment_min")],
    S("segment_max", f(3, 2), const([0, 1, 0], "int32"), num_segments=2),
    S("segment_sum", i(0, 9, 5), _IDS, num_segments=4, sorted=False, _grad=False),
    S("segment_max", f(5, 2), const([0, 7, 1, -1, 0], "int32"), num_segments=2, _grad=False),
    S("segment_sum", f(5), _IDS, _keras=False, _eager_only=True, _grad=False),
    S("top_k", f(2, 5), 3),
    S("top_k", i(0, 3, 2, 9), 4, _grad=False),
    S("in_top_k", i(0, 5, 4), f(4, 5), 2, _grad=False),
    S("cdist", f(4, 3), f(5, 3)),
    S("extract_sequences", f(2, 9), 4, 2),
    S("extract_sequences", f(2, 3), 4, 2, _grad=False),
    S("extract_sequences", f(2, 1), 8, 3, _grad=False),
    # Fourier transforms
    *[S(name, _PAIR) for name in ("fft", "fft2", "ifft2")],
    S("rfft", f(2, 7)),
    S("rfft", f(2, 7), fft_length=4),
    S("rfft", f(2, 7), fft_length=10),
    S("irfft", _PAIR),
    S("irfft", _PAIR, fft_length=9),
    S("stft", _SIGNAL, 8, 4, 16, _atol=1e-4),
    S("stft", _SIGNAL, 8, 3, 8, window="hamming", center=False, _atol=1e-4),
    S("stft", _SIGNAL, 8, 4, 8, window=unit(8), _atol=1e-4),
    S("istft", _SPECTRUM, 8, 4, 16, _atol=1e-4, _second=False),
    S("istft", _SPECTRUM, 16, 4, 16, length=20, window="hamming", center=False, _atol=1e-4, _second=False),
    *[P(name, cplx(2, 5), _grad=False) for name in ("fft", "ifft")],
    *[P("irfft", cplx(2, 4), length=n, _grad=False) for n in (6, 7)],
]

BAD = [
    Bad("view_as_complex", f(2, 3), match="real, imaginary"),
    Bad("view_as_real", f(2, 3), error=TypeError, match="complex"),
    Bad("segment_sum", f(5, 3), i(0, 3, 4), num_segments=3, match="segment_ids"),
    Bad("in_top_k", i(5, 6, 4), f(4, 5), 2, eager_only=True, match="5 classes must be in -5 to 4, but one is 5"),
    Bad("in_top_k", i(0, 5, 3), f(4, 5), 2, match="in_top_k: expected"),
    Bad("top_k", f(2, 5), 6, match="`k` must be"),
    Bad("cdist", f(4, 3), f(5, 2), match="equal d"),
    Bad("fft", f(2, 6), match="pair"),
    Bad("fft", (f(2, 6), f(2, 5)), match="same shape"),
    Bad("stft", i(0, 3, 40), 8, 4, 16, error=TypeError, match="float32"),
    Bad("stft", _SIGNAL, 8, 4, 4, match="fft_length"),
    Bad("stft", _SIGNAL, 8, 0, 8, match="sequence_stride"),
    Bad("stft", _SIGNAL, 8, 4, 8, window="square", match="window"),
]
