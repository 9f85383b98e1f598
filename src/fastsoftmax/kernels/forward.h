/* Raw predictions: coef times a few samples, in register tiles. Included by simd.h after vector.h.
 *
 * Contract of tiles here and in backward.h: `samples` points to rows of whole vectors, the padding
 * being zeros, as it is in coef. What a tile computes for one sample or feature never depends on
 * its neighbours, so that splitting the work among threads changes no bit.
 *
 * The order of the loops is that of a matrix product: a chunk of classes, whose coefficients stay
 * in the second cache; a block of features, which depends on their number alone; a few samples,
 * whose block stays in the first cache; and for these all class tiles of the chunk.
 */

typedef struct { /* what a tile multiplies */
    const REAL *const *samples;
    const REAL *coef; /* from the tile's first class on, as intercept and raw are */
    ptrdiff_t stride;
    const REAL *intercept;
    REAL *raw;
    ptrdiff_t raw_stride;
    ptrdiff_t first, last; /* features */
    fs_fetcher *fetcher;
} FS_(forward_work);

/* One vector of features of each sample and class. */
FS_INLINE void FS_(forward_vector)(const REAL *const *x, const REAL *coef, ptrdiff_t stride,
                                   VEC *sum, ptrdiff_t j, const int n_classes, const int n_samples)
{
    /* The fewer operands are the ones that stay in registers beside the sums. */
    const int n_few = n_classes < n_samples ? n_classes : n_samples;
    const int n_held = n_classes * n_samples + n_few + 1;
    VEC few[FS_FORWARD_SUMS];
    if (n_classes < n_samples) {
        FS_UNROLL
        for (int c = 0; c < n_classes; c++)
            few[c] = FS_(load)(coef + c * stride + j);
        FS_UNROLL
        for (int s = 0; s < n_samples; s++) {
            const VEC of_sample = FS_(load)(x[s] + j);
            FS_UNROLL
            for (int c = 0; c < n_classes; c++)
                FS_(add_product)(&sum[c * n_samples + s], few[c], of_sample, n_held);
        }
    } else {
        FS_UNROLL
        for (int s = 0; s < n_samples; s++)
            few[s] = FS_(load)(x[s] + j);
        FS_UNROLL
        for (int c = 0; c < n_classes; c++) {
            const VEC of_class = FS_(load)(coef + c * stride + j);
            FS_UNROLL
            for (int s = 0; s < n_samples; s++)
                FS_(add_product)(&sum[c * n_samples + s], of_class, few[s], n_held);
        }
    }
}

/* raw[c][i + s] = coef row c · sample i + s + intercept[c], or from the second block of features
 * on, what is there plus the product. */
FS_INLINE void FS_(forward_tile)(const FS_(forward_work) *work, ptrdiff_t i, const int n_classes,
                                 const int n_samples)
{
    const REAL *const coef = work->coef, *x[FS_FORWARD_SUMS];
    const ptrdiff_t stride = work->stride, last = work->last;
    const int is_first = work->first == 0;
    const int n_sums = n_classes * n_samples, side_by_side = n_samples < 4 ? n_samples : 4;
    VEC sum[FS_FORWARD_SUMS];
    FS_UNROLL
    for (int t = 0; t < (n_sums + 3) / 4 * 4; t++)
        sum[t] = (VEC){0};
    FS_UNROLL
    for (int s = 0; s < n_samples; s++)
        x[s] = work->samples[i + s];
    ptrdiff_t j = work->first;
    FS_IN_STEPS(j, last, LANES, work->fetcher,
                FS_(forward_vector)(x, coef, stride, sum, j, n_classes, n_samples));
    FS_UNROLL
    for (int t = 0; t < n_sums; t += 4) {
        REAL out[4];
        FS_(sum4)(sum[t], sum[t + 1], sum[t + 2], sum[t + 3], 0, out);
        for (int l = 0; l < 4 && t + l < n_sums; l += side_by_side) {
            const int c = (t + l) / n_samples, s = (t + l) % n_samples;
            REAL *raw = work->raw + c * work->raw_stride + i + s;
            const REAL intercept = work->intercept[c];
            if (is_first)
                for (int m = 0; m < side_by_side; m++)
                    raw[m] = out[l + m] + intercept;
            else
                for (int m = 0; m < side_by_side; m++)
                    raw[m] += out[l + m];
        }
    }
}

/* Of how many classes the next tile is where so many are left. The largest come first: they do more
 * with a sample that isn't in the first cache yet. */
FS_INLINE ptrdiff_t FS_(forward_classes)(ptrdiff_t left)
{
    if (FS_FORWARD_TALL && left % FS_FORWARD_CLASSES && left >= FS_FORWARD_TALL)
        return FS_FORWARD_TALL;
    return fs_parts(left, fs_parts(left, FS_FORWARD_CLASSES));
}

/* Of how many samples. One and two classes take more, to have enough sums under way. */
FS_INLINE int FS_(forward_samples)(ptrdiff_t n_classes)
{
    if (n_classes <= FS_FORWARD_CLASSES)
        return n_classes == 1 ? 8 : n_classes == 2 ? FS_FORWARD_PAIR_SAMPLES : 4;
    return 2;
}

/* forward_tile of samples [first, last), a multiple of 8, for as many classes as forward_classes
 * gives. */
FS_NOINLINE void FS_(forward_tiles)(const FS_(forward_work) *work, ptrdiff_t first, ptrdiff_t last,
                                    ptrdiff_t n_classes)
{
#define FS_IS_TILE(n) ((n) <= FS_FORWARD_CLASSES || (n) == FS_FORWARD_TALL)
#define FS_CASE(n)                                                                              \
    case n:                                                                                     \
        if (FS_IS_TILE(n))                                                                      \
            for (ptrdiff_t i = first; i < last; i += FS_(forward_samples)(n))                   \
                FS_(forward_tile)(work, i, FS_IS_TILE(n) ? (n) : 1,                             \
                                  FS_IS_TILE(n) ? FS_(forward_samples)(n) : 8);                 \
        break;
    switch (n_classes) {
        FS_CASE(1) FS_CASE(2) FS_CASE(3) FS_CASE(4) FS_CASE(5) FS_CASE(6) FS_CASE(7)
    }
#undef FS_CASE
#undef FS_IS_TILE
}

/* raw[c][i] = coef row c · sample i + intercept[c] for n_samples samples, a multiple of
 * FS_COLUMN_GROUP, and any number of classes. */
FS_NOINLINE void FS_(forward)(const REAL *const *samples, const REAL *coef, ptrdiff_t stride,
                              ptrdiff_t n_features, const REAL *intercept, REAL *raw,
                              ptrdiff_t raw_stride, ptrdiff_t n_samples, fs_fetcher *fetcher,
                              ptrdiff_t n_classes)
{
    if (FS_(column_vectors)(n_classes, n_features)) {
        FS_(forward_columns)(samples, coef, stride, n_features, intercept, raw, raw_stride,
                             n_samples, fetcher, n_classes);
        return;
    }
    FS_(forward_work) work = {samples, coef, stride, intercept, raw, raw_stride, 0, 0, fetcher};
    const ptrdiff_t n_vectors = fs_parts(n_features, LANES);
    const ptrdiff_t n_blocks = fs_parts(n_vectors * FS_VECTOR_BYTES, FS_BLOCK_BYTES);
    const ptrdiff_t tile_bytes = n_vectors * LANES / n_blocks * FS_FORWARD_CLASSES * ITEM;
    const ptrdiff_t n_tiles = fs_parts(n_classes, FS_FORWARD_CLASSES);
    const ptrdiff_t n_chunks = fs_parts(n_tiles * tile_bytes, FS_CHUNK_BYTES);
    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++)
        for (ptrdiff_t block = 0; block < n_blocks; block++) {
            const ptrdiff_t from = n_tiles * chunk / n_chunks * FS_FORWARD_CLASSES;
            const ptrdiff_t most = n_tiles * (chunk + 1) / n_chunks * FS_FORWARD_CLASSES;
            const ptrdiff_t end = most < n_classes ? most : n_classes;
            work.first = n_vectors * block / n_blocks * LANES;
            work.last = n_vectors * (block + 1) / n_blocks * LANES;
            for (ptrdiff_t i = 0; i < n_samples; i += FS_GROUP_SAMPLES)
                for (ptrdiff_t c = from, n; c < end; c += n) {
                    n = FS_(forward_classes)(end - c);
                    work.coef = coef + c * stride;
                    work.intercept = intercept + c;
                    work.raw = raw + c * raw_stride;
                    FS_(forward_tiles)(&work, i, i + FS_GROUP_SAMPLES, n);
                }
        }
}

/* How many steps forward takes in all (fetch.h). */
FS_INLINE ptrdiff_t FS_(forward_steps)(ptrdiff_t n_samples, ptrdiff_t n_features,
                                       ptrdiff_t n_classes)
{
    const ptrdiff_t n_vectors = FS_(column_vectors)(n_classes, n_features);
    ptrdiff_t n_tiles = 0;
    if (n_vectors) {
        const ptrdiff_t n_chunks = FS_(column_chunks)(n_vectors);
        for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++)
            n_tiles += FS_(column_tiles)(n_vectors * (chunk + 1) / n_chunks
                                         - n_vectors * chunk / n_chunks);
        return n_samples / FS_COLUMN_GROUP * n_tiles * n_features;
    }
    for (ptrdiff_t left = n_classes, n; left > 0; left -= n) {
        n = FS_(forward_classes)(left);
        n_tiles += n_samples / FS_(forward_samples)(n);
    }
    return n_tiles * fs_parts(n_features, LANES);
}
