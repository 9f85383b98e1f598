/* Rows of the caller's own arrays into vectors and back: any length, any alignment, no padding.
 *
 * A long row goes along itself, a vector at a time (functions.h). Short rows go LANES at
 * once, turned into a block that is class-major, one row a lane, so that ten classes waste no lane
 * of sixteen. Included by simd.h after vector.h, once for float and once for double; used by
 * functions.h.
 */

/* The first n ≤ LANES items of a vector, then zeros; for where speed is not asked for. */
FS_INLINE VEC FS_(load_some)(const REAL *p, ptrdiff_t n)
{
    VEC x = {0};
    memcpy(&x, p, (size_t)n * ITEM);
    return x;
}

/* The largest item of a vector. */
FS_INLINE REAL FS_(largest)(VEC x)
{
#ifdef FS_LARGEST_4
    return FS_JOIN(FS_LARGEST_, ITEM)(x);
#else
    REAL result = x[0];
    FS_UNROLL
    for (int l = 1; l < LANES; l++)
        result = x[l] > result ? x[l] : result;
    return result;
#endif
}

/* out[l] = the sum of the items of x[l], for l < LANES; x beyond n is overwritten. All alike. */
FS_INLINE VEC FS_(totals)(VEC *x, ptrdiff_t n)
{
    REAL out[LANES > 4 ? LANES : 4];
    memset(out, 0, sizeof out);
    for (ptrdiff_t l = n; l % 4; l++)
        x[l] = (VEC){0};
    for (ptrdiff_t l = 0; l < n; l += 4)
        FS_(sum4)(x[l], x[l + 1], x[l + 2], x[l + 3], 0, out + l);
    return FS_(load)(out);
}

/* --- Blocks of short rows ----------------------------------------------------------------------*/

#define PIECE (16 / ITEM) /* items in the 16 bytes taken of a row at once */

FS_INLINE VEC FS_(load_pieces)(const char *p, ptrdiff_t stride)
{
#if FS_VECTOR_BYTES == 16
    (void)stride;
    return FS_(load)((const REAL *)p);
#else
    return (VEC)fs_load_pieces(p, stride);
#endif
}
FS_INLINE void FS_(store_pieces)(char *p, ptrdiff_t stride, VEC x)
{
#if FS_VECTOR_BYTES == 64
    fs_store_pieces(p, stride, (__m512)x);
#elif FS_VECTOR_BYTES == 32
    fs_store_pieces(p, stride, (__m256)x);
#else
    (void)stride;
    FS_(store)((REAL *)p, x);
#endif
}

/* Transposes each 16 bytes × PIECE vectors: pieces of rows to classes, or classes to pieces. */
FS_INLINE void FS_(transpose)(VEC *v)
{
#if ITEM == 4
    VEC a = FS_SHUFFLE(v[0], v[1], FS_PAIR_LO_4), b = FS_SHUFFLE(v[2], v[3], FS_PAIR_LO_4);
    VEC c = FS_SHUFFLE(v[0], v[1], FS_PAIR_HI_4), d = FS_SHUFFLE(v[2], v[3], FS_PAIR_HI_4);
    v[0] = FS_SHUFFLE(a, b, FS_QUAD_LO_4);
    v[1] = FS_SHUFFLE(a, b, FS_QUAD_HI_4);
    v[2] = FS_SHUFFLE(c, d, FS_QUAD_LO_4);
    v[3] = FS_SHUFFLE(c, d, FS_QUAD_HI_4);
#else
    VEC a = FS_SHUFFLE(v[0], v[1], FS_PAIR_LO_8);
    v[1] = FS_SHUFFLE(v[0], v[1], FS_PAIR_HI_8);
    v[0] = a;
#endif
}

/* The class after k where the next piece begins: the last piece overlaps the one before it, so that
 * it neither reads nor writes beyond its row. */
FS_INLINE ptrdiff_t FS_(next_piece)(ptrdiff_t k, ptrdiff_t n_classes)
{
    if (k + PIECE >= n_classes)
        return n_classes;
    return k + 2 * PIECE <= n_classes ? k + PIECE : n_classes - PIECE;
}

/* block[k][lane] = class k of row `lane`. Reads PIECE items of rows that are shorter. */
FS_INLINE void FS_(load_block)(const char *rows, ptrdiff_t stride, ptrdiff_t n_classes, REAL *block)
{
    for (ptrdiff_t k = 0; k < n_classes; k = FS_(next_piece)(k, n_classes)) {
        VEC v[PIECE];
        FS_UNROLL
        for (int r = 0; r < PIECE; r++)
            v[r] = FS_(load_pieces)(rows + k * ITEM + r * stride, PIECE * stride);
        FS_(transpose)(v);
        FS_UNROLL
        for (int r = 0; r < PIECE; r++)
            FS_(store)(block + (k + r) * LANES, v[r]);
    }
}

/* Rows shorter than a piece, from pieces that lie side by side. */
FS_INLINE void FS_(store_narrow)(char *rows, ptrdiff_t stride, const size_t n_bytes,
                                 const char *pieces)
{
    for (int l = 0; l < LANES; l++)
        memcpy(rows + l * stride, pieces + l * 16, n_bytes);
}

/* The way back of block · factor, or with is_log of (block - factor) - less. Never writes beyond a
 * row. */
FS_INLINE void FS_(store_block)(char *rows, ptrdiff_t stride, ptrdiff_t n_classes,
                                const REAL *block, VEC factor, VEC less, const int is_log)
{
    char narrow[LANES * 16];
    char *to = n_classes < PIECE ? narrow : rows;
    const ptrdiff_t step = n_classes < PIECE ? 16 : stride;
    for (ptrdiff_t k = 0; k < n_classes; k = FS_(next_piece)(k, n_classes)) {
        VEC v[PIECE];
        FS_UNROLL
        for (int r = 0; r < PIECE; r++) {
            v[r] = FS_(load)(block + (k + r) * LANES);
            v[r] = is_log ? (v[r] - factor) - less : v[r] * factor;
        }
        FS_(transpose)(v);
        FS_UNROLL
        for (int r = 0; r < PIECE; r++)
            FS_(store_pieces)(to + k * ITEM + r * step, PIECE * step, v[r]);
    }
    if (n_classes >= PIECE)
        return;
    switch (n_classes) { /* a length known to the compiler: memcpy becomes a move or two */
        case 1: FS_(store_narrow)(rows, stride, 1 * ITEM, narrow); break;
        case 2: FS_(store_narrow)(rows, stride, 2 * ITEM % 16, narrow); break;
        case 3: FS_(store_narrow)(rows, stride, 3 * ITEM % 16, narrow); break;
    }
}

/* --- Values, one by one ------------------------------------------------------------------------*/

/* Sum of n values in double, by its own order whatever the threads were. */
FS_NOINLINE double FS_(sum_of)(const REAL *values, ptrdiff_t n)
{
    double total = 0;
    for (ptrdiff_t first = 0; first < n; first += 1024) {
        const ptrdiff_t end = first + 1024 < n ? first + 1024 : n;
        double sum[8] = {0};
        ptrdiff_t i = first;
        for (; i + 8 <= end; i += 8)
            for (int l = 0; l < 8; l++)
                sum[l] += (double)values[i + l];
        for (; i < end; i++)
            sum[0] += (double)values[i];
        total += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
    return total;
}

/* exp and log1p of n values, for tests of their accuracy alone. */
FS_NOINLINE void FS_(exp_array)(const REAL *values, REAL *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t some = n - i < LANES ? n - i : LANES;
        VEC e = FS_(exp)(FS_(load_some)(values + i, some));
        memcpy(out + i, &e, (size_t)some * ITEM);
    }
}
FS_NOINLINE void FS_(log1p_array)(const REAL *values, REAL *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t some = n - i < LANES ? n - i : LANES;
        VEC log = FS_(log1p)(FS_(load_some)(values + i, some));
        memcpy(out + i, &log, (size_t)some * ITEM);
    }
}
