"""Special functions over `xp`, which has none of them: rational approximations and asymptotic series, computed in float64.

Sources: W. J. Cody, Rational Chebyshev Approximations for the Error Function, Math. Comp. 23 (1969), in the form of S. L.
Moshier's Cephes library; M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988); C. Lanczos, A Precision Approximation
of the Gamma Function, SIAM J. Numer. Anal. B 1 (1964); M. Giles, Approximating the erfinv Function, GPU Computing Gems 2
(2010), for float32.
"""

import math

import numpy as np

from mlkit.backends.native.elementwise import quietly

_ERF_NEAR = (
    (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4), (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
    2.26290000613890934246e4, 4.92673942608635921086e4),
)  # fmt: skip
_ERFC_MIDDLE = (
    (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
     1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
     5.57535335369399327526e2),
    (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
     1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2),
)  # fmt: skip
_ERFC_FAR = (
    (5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0, 6.16021097993053585195e0,
     7.40974269950448939160e0, 2.97886665372100240670e0),
    (1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1, 1.70814450747565897222e1,
     9.60896809063285878198e0, 3.36907645100081516050e0),
)  # fmt: skip
# erf(x) / x in x*x for single precision, |x| <= 3.9
_ERF_SINGLE = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02),
)  # fmt: skip
# erfinv(x) / x in w - 2.5 where w = -log(1 - x*x) < 5, beyond in sqrt(w) - 3
_ERFINV_SINGLE = (
    (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727,
     1.50140941),
    (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406,
     2.83297682),
)  # fmt: skip
_NORMAL_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
    1.3731693765509461125e4,
     1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
    5.3941960214247511077e3,
     6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_NORMAL_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
_NORMAL_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)  # Bernoulli numbers B_2k / 2k


def make(xp):
    """Op name -> kernel."""

    def erf_single(x):
        x = xp.clip(x, -3.9, 3.9)
        return x * _ratio(x * x, _ERF_SINGLE)

    def erf_double(x):
        a = xp.minimum(xp.abs(x), 6.5)
        far = 1 - xp.exp(-a * a) * _ratio(a, _ERFC_MIDDLE)
        return xp.where(a < 1, x * _ratio(x * x, _ERF_NEAR), xp.copysign(far, x))

    def erf(x):
        if x.dtype.itemsize <= 4:
            return erf_single(x.astype("float32")).astype(x.dtype)
        return erf_double(x)

    def erfc(x):
        a = xp.abs(x)
        middle = _ratio(xp.minimum(a, 8), _ERFC_MIDDLE)
        tail = xp.exp(-a * a) * xp.where(a < 8, middle, _ratio(xp.clip(a, 8, 30), _ERFC_FAR))
        return xp.where(a < 1, 1 - x * _ratio(xp.minimum(x * x, 1), _ERF_NEAR), xp.where(x > 0, tail, 2 - tail))

    def erfinv_single(x):
        x = x.astype("float32")
        w = -xp.log((1 - x) * (1 + x))
        y = _polynomial(w - 2.5, _ERFINV_SINGLE[0])
        if xp is not np or (w >= 5).any():  # another device is not waited for
            y = xp.where(w < 5, y, _polynomial(xp.sqrt(w) - 3, _ERFINV_SINGLE[1]))
            y = xp.where(xp.abs(x) == 1, math.inf, y)
        return y * x

    def erfinv(x):
        """As the quantile of the normal distribution at (1 + x) / 2, over the square root of 2."""
        q = x / 2
        r = xp.sqrt(-xp.log(xp.minimum(0.5 - q, 0.5 + q)))
        centre = q * _ratio(0.180625 - q * q, _NORMAL_CENTRE)
        tail = xp.where(r <= 5, _ratio(r - 1.6, _NORMAL_TAIL), _ratio(r - 5, _NORMAL_FAR))
        tail = xp.where(xp.abs(x) == 1, math.inf, tail)
        return xp.where(xp.abs(q) <= 0.425, centre, xp.copysign(tail, x)) / math.sqrt(2)

    def lgamma(x):
        small = x < 0.5
        y = xp.where(small, 1 - x, x) - 1
        total = _LANCZOS[0] + sum(c / (y + i) for i, c in enumerate(_LANCZOS[1:], 1))
        t = y + 7.5
        value = (y + 0.5) * xp.log(t) - t + xp.log(total) + 0.5 * math.log(2 * math.pi)
        reflected = math.log(math.pi) - xp.log(xp.abs(xp.sin(math.pi * (x - xp.floor(x))))) - value
        return xp.where(xp.isinf(x), math.inf, xp.where(small, reflected, value))

    def digamma(x):
        small = x < 0.5
        y = xp.where(small, 1 - x, x)
        shifted = y
        value = xp.zeros_like(y)
        for _ in range(8):  # recurrence up to where the asymptotic series is exact
            low = shifted < 8
            value = value - xp.where(low, 1 / shifted, 0)
            shifted = xp.where(low, shifted + 1, shifted)
        s = 1 / (shifted * shifted)
        value = value + xp.log(shifted) - 0.5 / shifted - s * _polynomial(s, _DIGAMMA[::-1])
        pole = (x <= 0) & (x == xp.floor(x))
        reflected = value - math.pi / xp.tan(math.pi * (x - xp.floor(x)))
        return xp.where(pole, math.nan, xp.where(small, reflected, value))

    def erfinv_either(x):
        return erfinv_single(x).astype(x.dtype) if x.dtype.itemsize <= 4 else erfinv(x)

    wide = dict(erfc=erfc, lgamma=lgamma, digamma=digamma)
    return {
        "erf": quietly(xp, erf),
        "erfinv": quietly(xp, erfinv_either),
        **{name: quietly(xp, _in_double(f)) for name, f in wide.items()},
    }


def _in_double(function):
    return lambda x: function(x.astype("float64")).astype(x.dtype)


def _polynomial(x, coefficients):
    """By Horner's rule, highest power first; `x` is not changed."""
    y = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y


def _ratio(x, polynomials):
    return _polynomial(x, polynomials[0]) / _polynomial(x, polynomials[1])
