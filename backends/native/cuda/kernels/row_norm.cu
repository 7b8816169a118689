// Layer, group and root mean square normalization and their gradients. Stands on block.cu, rows.cu and column_sums.cu.
//
// A row is what is normalized together: `size` elements, one behind another, or, with OF_GROUPS, `run` neighbouring columns at all positions
// of a sample. Each column has a factor and an offset.

// Where what is normalized together begins.
template <bool OF_GROUPS> struct Start {
    long long element;
    unsigned column;
    __device__ __forceinline__ Start(unsigned r, unsigned size, unsigned run, unsigned columns) {
        unsigned groups = columns / run;
        column = OF_GROUPS ? r % groups * run : 0;
        element = OF_GROUPS ? r / groups * (long long)groups * size + column : r * (long long)size;
    }
};

// mean: not there where CENTERED is false, for root mean square normalization, which takes 0 for it.
template <class T, class W, unsigned LANES, bool CENTERED, bool OF_GROUPS>
__device__ void row_norm(const T* x, const W* scale, const W* offset, T* y, W* mean, W* variance, long long rows, unsigned size, unsigned run,
                         unsigned columns, W epsilon, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES, OF_GROUPS> own{r < rows ? size : 0, wide, run, columns};
        Start<OF_GROUPS> at((unsigned)r, size, run, columns);
        const T* row = x + at.element;
        W v[8], sum = 0, squares = 0, center = 0;
        if (CENTERED) {
            for (unsigned i = 0; i < own.size; i += own.step) {
                own.get(row, i, v);
                for (int k = 0; k < 8; ++k) sum += v[k];
            }
            center = of_row<Sum, LANES>(sum) / W(size);
        }
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!CENTERED || !own.is_short()) own.get(row, i, v);
            for (int k = 0; k < 8; ++k)
                if (own.place(i, k) < own.size) squares += (v[k] - center) * (v[k] - center);
        }
        W spread = of_row<Sum, LANES>(squares) / W(size), inverse = W(1) / square_root(spread + epsilon), by[8];
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) own.get(row, i, v);
            for (int k = 0; k < 8; ++k) v[k] = (v[k] - center) * inverse;
            if (scale) {
                own.get_columns(scale + at.column, i, by);
                for (int k = 0; k < 8; ++k) v[k] *= by[k];
            }
            if (offset) {
                own.get_columns(offset + at.column, i, by);
                for (int k = 0; k < 8; ++k) v[k] += by[k];
            }
            own.put(y + at.element, i, v);
        }
        if (own.leads()) {
            if (CENTERED) mean[r] = center;
            variance[r] = spread;
        }
    });
}

template <class T, class W, unsigned LANES, bool CENTERED, bool OF_GROUPS>
__device__ void row_norm_gradient(const T* g, const T* x, const W* scale, const W* mean, const W* variance, T* dx, long long rows, unsigned size,
                                  unsigned run, unsigned columns, W epsilon, bool wide) {
    each_row<LANES>(rows, [&](long long r) {
        Share<LANES, OF_GROUPS> own{r < rows ? size : 0, wide, run, columns};
        Start<OF_GROUPS> at((unsigned)r, size, run, columns);
        W center = CENTERED && own.size ? mean[r] : W(0), inverse = own.size ? W(1) / square_root(variance[r] + epsilon) : W(0);
        W slope[8], normal[8], sum = 0, product = 0;
        auto get = [&](unsigned i) {
            own.get(g + at.element, i, slope);
            if (scale) {
                own.get_columns(scale + at.column, i, normal);
                for (int k = 0; k < 8; ++k) slope[k] *= normal[k];
            }
            own.get(x + at.element, i, normal, center);
            for (int k = 0; k < 8; ++k) normal[k] = (normal[k] - center) * inverse;
        };
        for (unsigned i = 0; i < own.size; i += own.step) {
            get(i);
            for (int k = 0; k < 8; ++k) sum += slope[k], product += slope[k] * normal[k];
        }
        sum = CENTERED ? of_row<Sum, LANES>(sum) / W(size) : W(0);
        product = of_row<Sum, LANES>(product) / W(size);
        for (unsigned i = 0; i < own.size; i += own.step) {
            if (!own.is_short()) get(i);
            for (int k = 0; k < 8; ++k) slope[k] = (slope[k] - sum - normal[k] * product) * inverse;
            own.put(dx + at.element, i, slope);
        }
    });
}

// Gradients of factors and offsets: sums over all rows of the matrix. d_offset: null for root mean square normalization.
template <class T, class W>
__device__ void row_norm_sums(const T* g, const T* x, const W* mean, const W* variance, W* found, unsigned* counters, W* d_scale, W* d_offset,
                              long long rows, long long columns, long long length, unsigned run, unsigned positions, W epsilon) {
    Tile at(rows, columns, length);
    unsigned groups = (unsigned)columns / run, group = (unsigned)at.column / run;
    Sums<W> own;
    bool has_sums = gradient_sums(at, g, x, nullptr, found, counters, columns, own, [&](long long r, W& center, W& inverse) {
        unsigned i = (unsigned)r / positions * groups + group;
        center = mean ? mean[i] : W(0), inverse = W(1) / square_root(variance[i] + epsilon);
    });
    if (has_sums) {
        d_scale[at.column] = own.of_products;
        if (d_offset) d_offset[at.column] = own.plain;
    }
}
