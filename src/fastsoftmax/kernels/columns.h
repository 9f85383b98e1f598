/* Raw predictions of short rows, a class a lane. Included by simd.h after short_rows.h; called by
 * forward.h, whose contract holds, but that rows need no padding.
 *
 * Where rows are short, most of a tile's time in forward.h goes into its sums across vectors. Here
 * the coefficients are turned first, so that of each feature one to three vectors of classes lie side
 * by side; a row's values are broadcast and multiplied with them, and what remains is to turn the
 * sums of some samples. What is lost are lanes without a class, and coefficients that are turned for
 * each part of a minibatch. More classes are taken in chunks.
 */

/* How many vectors of classes there are; 0 where rows are better taken as forward.h does. There a
 * class takes SHARE hundredths of the time of a lane here for a feature, and beside it as much as SAVES
 * features, in float64 half as many, as a vector holds half as much: timed for 2 to 100 classes and 8
 * to 400 features (bench/bench_narrow.py). */
FS_INLINE ptrdiff_t FS_(column_vectors)(ptrdiff_t n_classes, ptrdiff_t n_features)
{
    const ptrdiff_t n_vectors = fs_parts(n_classes, LANES), lanes = n_vectors * LANES;
    const ptrdiff_t of_class = FS_COLUMN_SHARE * n_features + 100 * FS_COLUMN_SAVES * 4 / ITEM;
    const ptrdiff_t at_once = n_vectors < FS_COLUMN_VECTORS ? n_vectors : FS_COLUMN_VECTORS;
    if (n_classes == 1 || !at_once || n_features * at_once * FS_VECTOR_BYTES > FS_COLUMN_BYTES
        || 100 * lanes * n_features >= n_classes * of_class)
        return 0;
    return n_vectors;
}

typedef struct {
    const REAL *const *samples;
    const REAL *coef; /* (n_features, vectors of classes) */
    ptrdiff_t n_features;
    REAL *sums; /* (FS_COLUMN_GROUP, vectors of classes) */
    fs_fetcher *fetcher;
} FS_(column_work);

/* to[j][k] = coef[k][j] of whole vectors of features; the lanes beyond the last class are zeros. */
FS_INLINE void FS_(turn_coef)(const REAL *coef, ptrdiff_t stride, ptrdiff_t n_features,
                              ptrdiff_t n_classes, REAL *to, const int width)
{
    for (ptrdiff_t k = 0; k < width; k += PIECE)
        for (ptrdiff_t j = 0; j < n_features; j += LANES) {
            VEC v[PIECE];
            FS_UNROLL
            for (int r = 0; r < PIECE; r++)
                v[r] = k + r < n_classes ? FS_(load)(coef + (k + r) * stride + j) : (VEC){0};
            FS_(transpose)(v);
            FS_UNROLL
            for (int r = 0; r < PIECE; r++)
                FS_(store_pieces)((char *)(to + (j + r) * width + k), PIECE * width * ITEM, v[r]);
        }
}

/* One feature of n_samples samples and all classes. */
FS_INLINE void FS_(column_feature)(const REAL *const *x, const REAL *coef, VEC *sum, ptrdiff_t j,
                                   const int n_vectors, const int n_samples)
{
    VEC of_class[3];
    FS_UNROLL
    for (int v = 0; v < n_vectors; v++)
        of_class[v] = FS_(load)(coef + v * LANES);
    FS_UNROLL
    for (int s = 0; s < n_samples; s++) {
        const VEC of_sample = FS_(broadcast)(x[s][j]);
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++)
            FS_(add_product)(&sum[s * n_vectors + v], of_sample, of_class[v],
                             (n_samples + 1) * n_vectors + 1);
    }
}

/* The sums of n_samples samples, of which `from` is the first, into row `to` and after. */
FS_INLINE void FS_(column_tile)(const FS_(column_work) *work, ptrdiff_t from, ptrdiff_t to,
                                const int n_vectors, const int n_samples)
{
    const int width = n_vectors * LANES;
    const REAL *x[FS_COLUMN_GROUP], *const coef = work->coef;
    VEC sum[FS_FORWARD_SUMS];
    FS_UNROLL
    for (int t = 0; t < n_samples * n_vectors; t++)
        sum[t] = (VEC){0};
    FS_UNROLL
    for (int s = 0; s < n_samples; s++)
        x[s] = work->samples[from + s];
    ptrdiff_t j = 0;
    FS_IN_STEPS(j, work->n_features, 1, work->fetcher,
                FS_(column_feature)(x, coef + j * width, sum, j, n_vectors, n_samples));
    FS_UNROLL
    for (int t = 0; t < n_samples * n_vectors; t++)
        FS_(store)(work->sums + to * width + t * LANES, sum[t]);
}

/* raw[k][i] = sums[i][k] + intercept[k] for LANES samples. */
FS_INLINE void FS_(turn_sums)(const REAL *sums, const int width, const REAL *intercept, REAL *raw,
                              ptrdiff_t raw_stride, ptrdiff_t n_classes)
{
    for (ptrdiff_t k = 0; k < n_classes; k += PIECE) {
        VEC v[PIECE];
        FS_UNROLL
        for (int r = 0; r < PIECE; r++)
            v[r] = FS_(load_pieces)((const char *)(sums + k + r * width), PIECE * width * ITEM);
        FS_(transpose)(v);
        FS_UNROLL
        for (int r = 0; r < PIECE; r++)
            if (k + r < n_classes)
                FS_(store)(raw + (k + r) * raw_stride, v[r] + intercept[k + r]);
    }
}

/* Of at most FS_COLUMN_VECTORS vectors. */
FS_INLINE ptrdiff_t FS_(column_chunks)(ptrdiff_t n_vectors)
{
    return fs_parts(n_vectors, FS_COLUMN_VECTORS ? FS_COLUMN_VECTORS : 1);
}

/* Tiles that a group of samples takes: of as many samples as there are registers for their sums. */
FS_INLINE int FS_(column_tiles)(const ptrdiff_t n_vectors)
{
    return n_vectors == 1 || FS_COLUMN_SUMS >= 24 ? 2 : n_vectors == 2 ? 3 : 4;
}

FS_INLINE void FS_(forward_by_columns)(FS_(column_work) *work, const REAL *intercept, REAL *raw,
                                       ptrdiff_t raw_stride, ptrdiff_t n_samples,
                                       ptrdiff_t n_classes, const int n_vectors)
{
    const int width = n_vectors * LANES;
    for (ptrdiff_t i = 0; i < n_samples; i += FS_COLUMN_GROUP) {
        switch (FS_(column_tiles)(n_vectors)) {
            case 2:
                for (ptrdiff_t s = 0; s < FS_COLUMN_GROUP; s += 8)
                    FS_(column_tile)(work, i + s, s, n_vectors, 8);
                break;
            case 3:
                FS_(column_tile)(work, i, 0, n_vectors, 5);
                FS_(column_tile)(work, i + 5, 5, n_vectors, 5);
                FS_(column_tile)(work, i + 10, 10, n_vectors, 6);
                break;
            case 4:
                for (ptrdiff_t s = 0; s < FS_COLUMN_GROUP; s += 4)
                    FS_(column_tile)(work, i + s, s, n_vectors, 4);
                break;
        }
        for (ptrdiff_t s = 0; s < FS_COLUMN_GROUP; s += LANES)
            FS_(turn_sums)(work->sums + s * width, width, intercept, raw + i + s, raw_stride,
                           n_classes);
    }
}

/* forward of n_features features, no more than column_vectors allows; n_samples is a multiple of
 * FS_COLUMN_GROUP. */
FS_NOINLINE void FS_(forward_columns)(const REAL *const *samples, const REAL *coef,
                                      ptrdiff_t stride, ptrdiff_t n_features,
                                      const REAL *intercept, REAL *raw, ptrdiff_t raw_stride,
                                      ptrdiff_t n_samples, fs_fetcher *fetcher,
                                      ptrdiff_t n_classes)
{
    /* The last vector of features is turned whole. */
    REAL turned[(FS_COLUMN_BYTES + LANES * 3 * FS_VECTOR_BYTES) / ITEM] FS_ALIGNED;
    REAL sums[FS_COLUMN_GROUP * 3 * LANES] FS_ALIGNED;
    FS_(column_work) work = {samples, turned, n_features, sums, fetcher};
    const ptrdiff_t n_vectors = FS_(column_vectors)(n_classes, n_features);
    const ptrdiff_t n_chunks = FS_(column_chunks)(n_vectors);
    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++) {
        const ptrdiff_t from = n_vectors * chunk / n_chunks, to = n_vectors * (chunk + 1) / n_chunks;
        const ptrdiff_t k = from * LANES, last = to * LANES < n_classes ? to * LANES : n_classes;
#define FS_CASE(v)                                                                              \
    case v:                                                                                     \
        FS_(turn_coef)(coef + k * stride, stride, n_features, last - k, turned, v * LANES);     \
        FS_(forward_by_columns)(&work, intercept + k, raw + k * raw_stride, raw_stride,         \
                                n_samples, last - k, v);                                        \
        break;
        switch (to - from) { FS_CASE(1) FS_CASE(2) FS_CASE(3) }
#undef FS_CASE
    }
}
