/* Softmax over a few classes of each row: which they are, and how loss and gradient change with coef.
 *
 * A row keeps FS_KEPT classes, its own first; a slot whose probability is 0 ends them. Their codes
 * and probabilities are rows of FS_KEPT items, a whole number of vectors. The meaning is that of
 * reference/restricted.py. No checks, no threads. Included by simd.h after vector.h, once for float
 * and once for double.
 */

/* Which lanes of a comparison's mask hold, a bit each. */
FS_INLINE unsigned FS_(bits)(IVEC mask)
{
#if FS_VECTOR_BYTES == 64
    return ITEM == 4 ? (unsigned)_mm512_movepi32_mask((__m512i)mask)
                     : (unsigned)_mm512_movepi64_mask((__m512i)mask);
#elif FS_VECTOR_BYTES == 32
    return ITEM == 4 ? (unsigned)_mm256_movemask_ps((__m256)mask)
                     : (unsigned)_mm256_movemask_pd((__m256d)mask);
#elif defined(__x86_64__)
    return ITEM == 4 ? (unsigned)_mm_movemask_ps((__m128)mask)
                     : (unsigned)_mm_movemask_pd((__m128d)mask);
#else
    unsigned bits = 0;
    for (int l = 0; l < LANES; l++)
        bits |= (unsigned)(mask[l] & 1) << l;
    return bits;
#endif
}

/* The classes to keep of one vector of samples, from the gradient of their losses in the raw
 * predictions, weight · (probability − target), by class. A row's threshold is the lowest of
 * `rungs`, which fall, that no more than the slots beside its own class are above. Of samples from n
 * on nothing is written. `column` has room for a vector a class, side by side: the gradient's lie so
 * far apart that they fall into few sets of the cache. */
FS_NOINLINE void FS_(keep_likeliest)(const REAL *gradient, ptrdiff_t stride, ptrdiff_t n_classes,
                                     const int32_t *codes, const REAL *weight, double smoothing,
                                     const double *rungs, ptrdiff_t n, REAL *column,
                                     int32_t *kept_out, REAL *probability_out)
{
    const double even = smoothing / (double)n_classes;
    const REAL least = (REAL)rungs[FS_RUNGS - 1];
    REAL threshold[LANES];
    int high[LANES], low[LANES], taken[LANES]; /* rungs: `high` will do, `low` may be too low */
    for (int l = 0; l < LANES; l++) {
        high[l] = 0;
        low[l] = FS_RUNGS;
        taken[l] = 1;
    }
    for (ptrdiff_t k = 0; k < n_classes; k++)
        FS_(store)(column + k * LANES, FS_(load)(gradient + k * stride));
    for (int width = FS_RUNGS; width > 1; width = (width + 1) / 2) {
        IVEC count = {0};
        for (int l = 0; l < LANES; l++)
            threshold[l] = weight[l] * (REAL)(rungs[(high[l] + low[l]) / 2] - even);
        const VEC above = FS_(load)(threshold);
        for (ptrdiff_t k = 0; k < n_classes; k++)
            count -= FS_(load)(column + k * LANES) > above;
        for (int l = 0; l < LANES; l++) {
            const int own = gradient[codes[l] * stride + l] > threshold[l];
            int *bound = count[l] - own < FS_KEPT ? high : low;
            bound[l] = (high[l] + low[l]) / 2;
        }
    }
    for (ptrdiff_t l = 0; l < n; l++) {
        int32_t *kept = kept_out + l * FS_KEPT;
        REAL *probability = probability_out + l * FS_KEPT;
        memset(kept, 0, FS_KEPT * sizeof *kept);
        memset(probability, 0, FS_KEPT * sizeof *probability);
        kept[0] = codes[l];
        if (weight[l] > 0) {
            REAL own = gradient[codes[l] * stride + l] / weight[l] + (REAL)(1 - smoothing + even);
            probability[0] = own > least ? own : least;
        }
    }
    for (int l = 0; l < LANES; l++)
        threshold[l] = weight[l] * (REAL)(rungs[high[l]] - even);
    const VEC above = FS_(load)(threshold);
    for (ptrdiff_t k = 0; k < n_classes; k++) {
        unsigned hits = FS_(bits)(FS_(load)(column + k * LANES) > above);
        for (; hits; hits &= hits - 1) {
            const int l = __builtin_ctz(hits);
            if (l >= n || k == codes[l] || taken[l] == FS_KEPT)
                continue;
            const ptrdiff_t slot = l * FS_KEPT + taken[l]++;
            kept_out[slot] = (int32_t)k;
            probability_out[slot] = gradient[k * stride + l] / weight[l] + (REAL)even;
        }
    }
}

FS_INLINE int FS_(n_kept)(const REAL *probability)
{
    int n = 0;
    while (n < FS_KEPT && probability[n] != 0)
        n++;
    return n;
}

/* raw of a row's classes += coef · sample, over some whole vectors of features. */
FS_INLINE void FS_(add_kept)(const REAL *sample, const REAL *coef, ptrdiff_t stride,
                             ptrdiff_t n_features, const int32_t *kept, int n, REAL *raw)
{
    for (int c = 0; c < n; c += 4) {
        const REAL *row[4];
        VEC sum[4] = {{0}, {0}, {0}, {0}};
        REAL total[4];
        FS_UNROLL
        for (int t = 0; t < 4; t++)
            row[t] = coef + kept[c + t < n ? c + t : n - 1] * stride;
        for (ptrdiff_t j = 0; j < n_features; j += LANES) {
            VEC x = FS_(load)(sample + j);
            FS_UNROLL
            for (int t = 0; t < 4; t++)
                sum[t] += x * FS_(load)(row[t] + j);
        }
        FS_(sum4)(sum[0], sum[1], sum[2], sum[3], 0, total);
        for (int t = 0; t < 4 && c + t < n; t++)
            raw[c + t] += total[t];
    }
}

/* What a row adds to the loss where its raw predictions have changed by `raw`; they become
 * weight · (probability − what it was). */
FS_INLINE double FS_(restricted_row)(REAL *raw, const REAL *probability, REAL weight)
{
    VEC grown = {0}, linear = {0};
    REAL now[FS_KEPT];
    FS_UNROLL
    for (int c = 0; c < FS_KEPT; c += LANES) {
        VEC x = FS_(load)(raw + c), p = FS_(load)(probability + c), q = p * FS_(exp)(x);
        FS_(store)(now + c, q);
        grown += q - p;
        linear += p * x;
    }
    const double more = FS_(sum_lanes)(grown);
    const REAL share = (REAL)(1 / (1 + more));
    FS_UNROLL
    for (int c = 0; c < FS_KEPT; c += LANES)
        FS_(store)(raw + c, (FS_(load)(now + c) * share - FS_(load)(probability + c)) * weight);
    return weight * (log1p(more) - FS_(sum_lanes)(linear));
}

/* gradient rows of a sample's classes += excess · sample, over n_vectors vectors of features. */
FS_INLINE void FS_(scatter_tile)(const REAL *const *samples, ptrdiff_t n_samples,
                                 const REAL *excess, const REAL *probability, const int32_t *kept,
                                 REAL *gradient, ptrdiff_t stride, const int n_vectors)
{
    for (ptrdiff_t i = 0; i < n_samples; i++, excess += FS_KEPT, kept += FS_KEPT) {
        const int n = FS_(n_kept)(probability + i * FS_KEPT);
        const REAL *later = samples[i + FS_AHEAD < n_samples ? i + FS_AHEAD : i];
        VEC x[FS_SCATTER_VECTORS];
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++) {
            x[v] = FS_(load)(samples[i] + v * LANES);
            __builtin_prefetch(later + v * LANES);
        }
        for (int c = 0; c < n; c++) {
            REAL *row = gradient + kept[c] * stride;
            FS_UNROLL
            for (int v = 0; v < n_vectors; v++)
                FS_(store)(row + v * LANES, FS_(load)(row + v * LANES) + x[v] * excess[c]);
        }
    }
}

FS_NOINLINE void FS_(scatter)(const REAL *const *samples, ptrdiff_t n_samples, const REAL *excess,
                              const REAL *probability, const int32_t *kept, REAL *gradient,
                              ptrdiff_t stride, ptrdiff_t n_vectors)
{
#define FS_CASE(n)                                                                              \
    case n:                                                                                     \
        FS_(scatter_tile)(samples, n_samples, excess, probability, kept, gradient, stride, n);  \
        break;
    switch (n_vectors) {
        FS_CASE(1) FS_CASE(2) FS_CASE(3) FS_CASE(4)
        FS_CASE(5) FS_CASE(6) FS_CASE(7) FS_CASE(8)
    }
#undef FS_CASE
}

/* Raw predictions of n_samples rows' classes, over some features: added to raw. */
FS_NOINLINE void FS_(add_raw)(const REAL *const *samples, ptrdiff_t n_samples, const REAL *coef,
                              ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last,
                              const REAL *probability, const int32_t *kept, REAL *raw)
{
    for (ptrdiff_t i = 0; i < n_samples; i++) {
        const REAL *later = samples[i + FS_AHEAD < n_samples ? i + FS_AHEAD : i];
        for (ptrdiff_t j = first; j < last; j += LANES)
            __builtin_prefetch(later + j);
        FS_(add_kept)(samples[i] + first, coef + first, stride, last - first, kept + i * FS_KEPT,
                      FS_(n_kept)(probability + i * FS_KEPT), raw + i * FS_KEPT);
    }
}
