/* The gradient of the coefficients, summed over samples in register tiles, and the step with it.
 *
 * Included by simd.h after vector.h; the contract is that of forward.h. Each sum adds up the samples
 * one by one, in their order, whichever way it is computed: there are three, and which one is for
 * fs_backward_way to say, from the numbers of classes and features.
 *
 * - By rows: four samples' gradients stay in registers, while their rows and the sums stream by
 *   from the first cache. For few classes and long rows, whose sums are few enough for that.
 * - By stripes: the sums of a stripe of one to eight vectors stay in registers, while the stripe's
 *   samples go by. For short rows, and where two or three tiles are all classes.
 * - By packed stripes: the stripe is copied first, so that all class tiles read what lies side by
 *   side, from few pages. For many classes.
 */
FS_INLINE int FS_(backward_way)(ptrdiff_t n_classes, ptrdiff_t n_features)
{
    if (n_features < FS_LONG_ROW_VECTORS * LANES)
        return FS_BY_STRIPES;
    if (n_classes <= FS_FEW_CLASSES)
        return FS_BY_ROWS;
    return n_classes <= FS_MANY_CLASSES ? FS_BY_STRIPES : FS_BY_PACKED_STRIPES;
}

typedef struct { /* what is added up, and what for */
    const REAL *const *samples;
    ptrdiff_t n_samples;
    const REAL *gradient;
    ptrdiff_t gradient_stride;
    REAL *coef, *state, *partial;
    ptrdiff_t stride;
    int is_first, is_last; /* of the parts of a minibatch */
    REAL learning_rate, momentum, alpha;
    int update;
    fs_fetcher *fetcher;
    /* For packed stripes: room for one, and the gradient of the classes from first_class on, tile
     * by tile, sample-major. */
    REAL *packed, *turned;
    ptrdiff_t first_class;
    int is_far; /* coef and state aren't in the caches near the core */
} FS_(backward_work);

/* Items of room that packed stripes need. */
FS_INLINE ptrdiff_t FS_(backward_room)(ptrdiff_t n_classes, ptrdiff_t n_samples)
{
    const ptrdiff_t chunk = FS_GRADIENT_BYTES / ITEM + n_samples * FS_BACKWARD_CLASSES;
    const ptrdiff_t all = n_classes * n_samples;
    return 2 * LANES * n_samples + (all < chunk ? all : chunk);
}

/* --- By rows -----------------------------------------------------------------------------------*/

/* One vector of features of n_samples samples, added to what `to` holds of n_classes classes. */
FS_INLINE void FS_(rows_vector)(const REAL *const *x, const VEC *g, REAL *const *to, ptrdiff_t j,
                                const int n_classes, const int n_samples)
{
    const int n_held = n_classes * (n_samples + 1) + 1;
    VEC sum[FS_ROWS_CLASSES];
    FS_UNROLL
    for (int c = 0; c < n_classes; c++)
        sum[c] = FS_(load)(to[c] + j);
    FS_UNROLL
    for (int s = 0; s < n_samples; s++) {
        const VEC of_sample = FS_(load)(x[s] + j);
        FS_UNROLL
        for (int c = 0; c < n_classes; c++)
            FS_(add_product)(&sum[c], g[c * n_samples + s], of_sample, n_held);
    }
    FS_UNROLL
    for (int c = 0; c < n_classes; c++)
        FS_(store)(to[c] + j, sum[c]);
}

/* Add n_samples samples from number i on to the sums of n_classes classes from number k on. */
FS_INLINE void FS_(rows_tile)(const FS_(backward_work) *work, ptrdiff_t i, ptrdiff_t k,
                              ptrdiff_t first, ptrdiff_t last, const int n_classes,
                              const int n_samples)
{
    const REAL *x[4];
    REAL *to[FS_ROWS_CLASSES];
    VEC g[FS_ROWS_CLASSES * 4];
    FS_UNROLL
    for (int s = 0; s < n_samples; s++)
        x[s] = work->samples[i + s];
    FS_UNROLL
    for (int c = 0; c < n_classes; c++) {
        to[c] = work->partial + (k + c) * work->stride;
        FS_UNROLL
        for (int s = 0; s < n_samples; s++)
            g[c * n_samples + s] =
                FS_(broadcast)(work->gradient[(k + c) * work->gradient_stride + i + s]);
    }
    ptrdiff_t j = first;
    FS_IN_STEPS(j, last, LANES, work->fetcher,
                FS_(rows_vector)(x, g, to, j, n_classes, n_samples));
}

/* rows_tile of n ≤ 4 samples and n_classes ≤ FS_ROWS_CLASSES classes. */
FS_NOINLINE void FS_(rows_tiles)(const FS_(backward_work) *work, ptrdiff_t i, ptrdiff_t n,
                                 ptrdiff_t k, ptrdiff_t first, ptrdiff_t last, ptrdiff_t n_classes)
{
#define FS_TILE(c, s)                                                                           \
    FS_(rows_tile)(work, i, k, first, last, (c) <= FS_ROWS_CLASSES ? (c) : 1, s)
#define FS_CASE(c)                                                                              \
    case c:                                                                                     \
        if ((c) <= FS_ROWS_CLASSES)                                                             \
            switch (n) {                                                                        \
                case 1: FS_TILE(c, 1); break;                                                   \
                case 2: FS_TILE(c, 2); break;                                                   \
                case 3: FS_TILE(c, 3); break;                                                   \
                case 4: FS_TILE(c, 4); break;                                                   \
            }                                                                                   \
        break;
    switch (n_classes) {
        FS_CASE(1) FS_CASE(2) FS_CASE(3) FS_CASE(4) FS_CASE(5)
    }
#undef FS_CASE
#undef FS_TILE
}

FS_INLINE void FS_(backward_rows)(const FS_(backward_work) *work, ptrdiff_t first, ptrdiff_t last,
                                  ptrdiff_t n_classes)
{
    const ptrdiff_t n_vectors = (last - first) / LANES;
    const ptrdiff_t n_tiles = fs_parts(n_classes, FS_ROWS_CLASSES);
    const ptrdiff_t n_blocks = fs_parts((last - first) * (n_classes + 4) * ITEM, FS_ROWS_BYTES);
    for (ptrdiff_t block = 0; block < n_blocks; block++) {
        const ptrdiff_t from = first + n_vectors * block / n_blocks * LANES;
        const ptrdiff_t to = first + n_vectors * (block + 1) / n_blocks * LANES;
        if (work->is_first)
            for (ptrdiff_t k = 0; k < n_classes; k++)
                memset(work->partial + k * work->stride + from, 0, (size_t)(to - from) * ITEM);
        for (ptrdiff_t i = 0; i < work->n_samples; i += 4)
            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                const ptrdiff_t k = n_classes * t / n_tiles, left = work->n_samples - i;
                FS_(rows_tiles)(work, i, left < 4 ? left : 4, k, from, to,
                                n_classes * (t + 1) / n_tiles - k);
            }
        if (work->is_last)
            for (ptrdiff_t k = 0; k < n_classes; k++) {
                const ptrdiff_t at = k * work->stride + from;
                FS_(step_array)(work->partial + at, work->coef + at, work->state + at, to - from,
                                work->learning_rate, work->momentum, work->alpha, work->update);
            }
    }
}

/* --- By stripes --------------------------------------------------------------------------------*/

/* One sample's share of n_classes classes × n_vectors vectors of features. */
FS_INLINE void FS_(add_sample)(const REAL *x, const REAL *gradient, ptrdiff_t gradient_stride,
                               VEC *sum, const int n_classes, const int n_vectors)
{
    VEC of_sample[8];
    FS_UNROLL
    for (int v = 0; v < n_vectors; v++)
        of_sample[v] = FS_(load)(x + v * LANES);
    FS_UNROLL
    for (int c = 0; c < n_classes; c++) {
        const VEC g = FS_(broadcast)(gradient[c * gradient_stride]);
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++)
            sum[c * n_vectors + v] += g * of_sample[v];
    }
}

/* All samples' shares, of rows where they lie or of a packed stripe. */
FS_INLINE void FS_(add_samples)(const FS_(backward_work) *work, ptrdiff_t k, ptrdiff_t j, VEC *sum,
                                const int n_classes, const int n_vectors)
{
    const ptrdiff_t stride = work->gradient_stride, n = work->n_samples;
    const REAL *const gradient = work->gradient + k * stride;
    const REAL *const *const samples = work->samples;
    ptrdiff_t i = 0;
    FS_IN_STEPS(i, n, 1, work->fetcher,
                FS_(add_sample)(samples[i] + j, gradient + i, stride, sum, n_classes, n_vectors));
}
FS_INLINE void FS_(add_packed)(const FS_(backward_work) *work, ptrdiff_t k, VEC *sum,
                               const int n_classes, const int n_vectors)
{
    const ptrdiff_t n = work->n_samples;
    const REAL *const gradient = work->turned + (k - work->first_class) * n;
    ptrdiff_t i = 0;
    FS_IN_STEPS(i, n, 1, work->fetcher,
                FS_(add_sample)(work->packed + i * n_vectors * LANES, gradient + i * n_classes, 1,
                                sum, n_classes, n_vectors));
}

FS_INLINE void FS_(step_tile)(const FS_(backward_work) *work, const VEC *gradient, ptrdiff_t at,
                              const int n_classes, const int n_vectors, const int update)
{
    for (int c = 0; c < n_classes; c++)
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++) {
            const ptrdiff_t i = at + c * work->stride + v * LANES;
            FS_(step)(gradient[c * n_vectors + v], work->coef + i, work->state + i,
                      work->learning_rate, work->momentum, work->alpha, update);
        }
}

/* Gradient of n_classes classes from number k on × n_vectors vectors of features from j on, summed
 * over the samples in registers; then stepped with at once, or kept in `partial` where more samples
 * are to come. */
FS_INLINE void FS_(stripe_tile)(const FS_(backward_work) *work, ptrdiff_t k, ptrdiff_t j,
                                const int n_classes, const int n_vectors)
{
    const ptrdiff_t stride = work->stride, at = k * stride + j;
    REAL *const partial = work->partial + at;
    VEC sum[FS_BACKWARD_SUMS], total[FS_BACKWARD_SUMS];
    if (work->is_far && work->is_last)
        FS_UNROLL
        for (int c = 0; c < n_classes; c++) {
            __builtin_prefetch(work->coef + at + c * stride, 1);
            __builtin_prefetch(work->state + at + c * stride, 1);
        }
    FS_UNROLL
    for (int c = 0; c < n_classes; c++)
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++)
            sum[c * n_vectors + v] =
                work->is_first ? (VEC){0} : FS_(load)(partial + c * stride + v * LANES);
    if (work->packed)
        FS_(add_packed)(work, k, sum, n_classes, n_vectors);
    else
        FS_(add_samples)(work, k, j, sum, n_classes, n_vectors);
    if (!work->is_last) {
        for (int c = 0; c < n_classes; c++)
            FS_UNROLL
            for (int v = 0; v < n_vectors; v++)
                FS_(store)(partial + c * stride + v * LANES, sum[c * n_vectors + v]);
        return;
    }
    FS_UNROLL
    for (int t = 0; t < n_classes * n_vectors; t++)
        total[t] = sum[t];
    /* By way of memory: what the step needs would take registers away from the loop above, and
     * with the sixteen of AVX2 a sum would be left without one. */
    FS_FORGET(total);
    switch (work->update) {
        case FS_SGD: FS_(step_tile)(work, total, at, n_classes, n_vectors, FS_SGD); break;
        case FS_MOMENTUM:
            FS_(step_tile)(work, total, at, n_classes, n_vectors, FS_MOMENTUM);
            break;
        case FS_NESTEROV:
            FS_(step_tile)(work, total, at, n_classes, n_vectors, FS_NESTEROV);
            break;
        case FS_ADAGRAD: FS_(step_tile)(work, total, at, n_classes, n_vectors, FS_ADAGRAD); break;
    }
}

/* All class tiles [first, last) of n_tiles on one stripe of v vectors. */
#define FS_FITS(n, v) ((n) <= FS_BACKWARD_CLASSES && ((v) <= 2 || ((v) == 4 ? (n) <= 3 : (n) == 1)))
#define FS_CASE(n, v)                                                                           \
    case n:                                                                                     \
        if (FS_FITS(n, v))                                                                      \
            FS_(stripe_tile)(work, k, j, FS_FITS(n, v) ? (n) : 1, v);                           \
        break;
#define FS_STRIPE(v)                                                                            \
    FS_NOINLINE void FS_(stripe_##v)(const FS_(backward_work) *work, ptrdiff_t j,               \
                                     ptrdiff_t n_classes, ptrdiff_t n_tiles, ptrdiff_t first,   \
                                     ptrdiff_t last)                                            \
    {                                                                                           \
        if (work->packed)                                                                       \
            for (ptrdiff_t i = 0; i < work->n_samples; i++)                                     \
                FS_UNROLL                                                                       \
                for (int u = 0; u < v; u++)                                                     \
                    FS_(store)(work->packed + (i * v + u) * LANES,                              \
                               FS_(load)(work->samples[i] + j + u * LANES));                    \
        for (ptrdiff_t t = first; t < last; t++) {                                              \
            const ptrdiff_t k = n_classes * t / n_tiles;                                        \
            switch (n_classes * (t + 1) / n_tiles - k) {                                        \
                FS_CASE(1, v) FS_CASE(2, v) FS_CASE(3, v) FS_CASE(4, v) FS_CASE(5, v)           \
                FS_CASE(6, v) FS_CASE(7, v) FS_CASE(8, v) FS_CASE(9, v) FS_CASE(10, v)          \
                FS_CASE(11, v) FS_CASE(12, v)                                                   \
            }                                                                                   \
        }                                                                                       \
    }
FS_STRIPE(1) FS_STRIPE(2) FS_STRIPE(4) FS_STRIPE(8)
#undef FS_STRIPE
#undef FS_CASE
#undef FS_FITS

/* The gradient of the classes of tiles [first, last), so that a tile reads it from one place. */
FS_INLINE void FS_(turn_gradient)(const FS_(backward_work) *work, ptrdiff_t n_classes,
                                  ptrdiff_t n_tiles, ptrdiff_t first, ptrdiff_t last)
{
    REAL *to = work->turned;
    for (ptrdiff_t t = first; t < last; t++) {
        const ptrdiff_t k = n_classes * t / n_tiles, size = n_classes * (t + 1) / n_tiles - k;
        for (ptrdiff_t c = 0; c < size; c++)
            for (ptrdiff_t i = 0; i < work->n_samples; i++)
                to[i * size + c] = work->gradient[(k + c) * work->gradient_stride + i];
        to += size * work->n_samples;
    }
}

FS_INLINE void FS_(backward_stripes)(FS_(backward_work) *work, ptrdiff_t first, ptrdiff_t last,
                                     ptrdiff_t n_classes)
{
    const ptrdiff_t n_tiles = fs_parts(n_classes, FS_BACKWARD_CLASSES);
    ptrdiff_t n_chunks = 1;
    if (work->packed)
        n_chunks = fs_parts(n_tiles * FS_BACKWARD_CLASSES * work->n_samples * ITEM,
                            FS_GRADIENT_BYTES);
    if (n_chunks > n_tiles)
        n_chunks = n_tiles;
    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++) {
        const ptrdiff_t from = n_tiles * chunk / n_chunks, to = n_tiles * (chunk + 1) / n_chunks;
        ptrdiff_t j = first;
        if (work->packed) {
            work->first_class = n_classes * from / n_tiles;
            FS_(turn_gradient)(work, n_classes, n_tiles, from, to);
        }
        /* Few classes take more features at once, to have enough sums under way. */
        if (n_classes == 1)
            for (; j + 8 * LANES <= last; j += 8 * LANES)
                FS_(stripe_8)(work, j, n_classes, n_tiles, from, to);
        if (n_classes <= 3)
            for (; j + 4 * LANES <= last; j += 4 * LANES)
                FS_(stripe_4)(work, j, n_classes, n_tiles, from, to);
        for (; j + 2 * LANES <= last; j += 2 * LANES)
            FS_(stripe_2)(work, j, n_classes, n_tiles, from, to);
        if (j < last)
            FS_(stripe_1)(work, j, n_classes, n_tiles, from, to);
    }
}

/* The gradient of n_classes classes over the features [first, last), and the step with it. `room`
 * is this thread's own, of backward_room items; n_features is of all features, by whole vectors. */
FS_NOINLINE void FS_(backward)(const REAL *const *samples, ptrdiff_t stride, const REAL *gradient,
                               ptrdiff_t gradient_stride, ptrdiff_t n_samples, REAL *coef,
                               REAL *state, REAL *partial, int is_first, int is_last,
                               REAL learning_rate, REAL momentum, REAL alpha, int update,
                               fs_fetcher *fetcher, ptrdiff_t first, ptrdiff_t last,
                               ptrdiff_t n_features, ptrdiff_t n_classes, REAL *room)
{
    const int way = FS_(backward_way)(n_classes, n_features);
    FS_(backward_work) work = {
        samples, n_samples, gradient, gradient_stride, coef, state, partial, stride, is_first,
        is_last, learning_rate, momentum, alpha, update, fetcher, NULL, room, 0,
        n_classes * stride * ITEM > FS_NEAR_BYTES,
    };
    fs_fetch_later(fetcher);
    if (way == FS_BY_ROWS) {
        FS_(backward_rows)(&work, first, last, n_classes);
        return;
    }
    if (way == FS_BY_PACKED_STRIPES) {
        work.packed = room;
        work.turned = room + 2 * LANES * n_samples;
    }
    FS_(backward_stripes)(&work, first, last, n_classes);
}

/* How many steps backward takes in all over so many vectors of features. */
FS_INLINE ptrdiff_t FS_(backward_steps)(ptrdiff_t n_samples, ptrdiff_t n_vectors,
                                        ptrdiff_t n_features, ptrdiff_t n_classes)
{
    ptrdiff_t n_stripes = 0;
    if (FS_(backward_way)(n_classes, n_features) == FS_BY_ROWS)
        return fs_parts(n_classes, FS_ROWS_CLASSES) * fs_parts(n_samples, 4) * n_vectors;
    for (ptrdiff_t width = n_classes == 1 ? 8 : n_classes <= 3 ? 4 : 2; width > 0; width /= 2) {
        n_stripes += n_vectors / width;
        n_vectors %= width;
    }
    return fs_parts(n_classes, FS_BACKWARD_CLASSES) * n_stripes * n_samples;
}
