"""Attention over `xp`: one sample's scores at a time, so that they stay in the cache and never exist all at once."""

from mlkit.backends.native.fused import in_single

MASKED = -0.7 * 3.4028234663852886e38  # score of a masked pair, as in mlkit/primitives/fused/attention.py


def make(xp):
    """Op name -> kernel."""

    def allowed(mask, causal, queries, keys):
        """The mask with the causal one, in four dimensions, or None."""
        lower = xp.tril(xp.ones((queries, keys), bool)) if causal else None
        if mask is None:
            return None if lower is None else lower[None, None]
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
        return mask if lower is None else mask & lower

    def of_sample(mask, b):
        return None if mask is None else mask[b if mask.shape[0] > 1 else 0]

    def heads(x, b):
        """(heads, length, size) of one sample, a view."""
        return x[b].transpose(1, 0, 2)

    def scores_of(q, k, mask, scale):
        s = xp.matmul(q, k.transpose(0, 2, 1))
        s *= scale
        if mask is not None:
            xp.copyto(s, s.dtype.type(MASKED), where=~mask)
        return s

    def probabilities(q, k, mask, scale):
        s = scores_of(q, k, mask, scale)
        s -= s.max(-1, keepdims=True)
        xp.exp(s, out=s)
        s /= s.sum(-1, keepdims=True)
        return s

    def attention(q, k, v, mask, scale, causal):
        batch, queries, n, _ = q.shape
        mask = allowed(mask, causal, queries, k.shape[1])
        y = xp.empty((batch, queries, n, v.shape[3]), q.dtype)
        for b in range(batch):
            p = probabilities(heads(q, b), heads(k, b), of_sample(mask, b), scale)
            heads(y, b)[...] = xp.matmul(p, heads(v, b))
        return y

    def attention_grad(g, q, k, v, mask, scale, causal):
        mask = allowed(mask, causal, q.shape[1], k.shape[1])
        dq, dk, dv = (xp.empty(x.shape, x.dtype) for x in (q, k, v))
        for b in range(len(q)):
            pairs = of_sample(mask, b)
            p = probabilities(heads(q, b), heads(k, b), pairs, scale)
            gb = heads(g, b)
            heads(dv, b)[...] = xp.matmul(p.transpose(0, 2, 1), gb)
            d = xp.matmul(gb, heads(v, b).transpose(0, 2, 1))
            d -= (d * p).sum(-1, keepdims=True)
            d *= p
            d *= scale
            if pairs is not None:
                d *= pairs
            heads(dq, b)[...] = xp.matmul(d, heads(k, b))
            heads(dk, b)[...] = xp.matmul(d.transpose(0, 2, 1), heads(q, b))
        return dq, dk, dv

    return {n: in_single(xp, f) for n, f in dict(attention=attention, attention_grad=attention_grad).items()}
