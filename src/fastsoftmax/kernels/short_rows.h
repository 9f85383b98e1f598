/* Rows of up to FS_BLOCK_CLASSES values, LANES at once, turned into a block that is class-major.
 *
 * One row a lane, so that ten classes waste no lane of sixteen: maxima and sums then are plain
 * arithmetic, without sums across a vector. No checks, no threads. Included by simd.h after rows.h
 * and exponentials.h, once for float and once for double; used by functions.h.
 */

/* --- Rows into a block and back ----------------------------------------------------------------*/

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

/* Rows i to i + n - 1, n ≤ LANES, as a block. Whole blocks are read as they lie; what may not be
 * read beyond the rows' ends, at the end of the table, comes through a copy. */
FS_INLINE void FS_(take_block)(const fs_table *table, ptrdiff_t i, ptrdiff_t n, REAL *block)
{
    const ptrdiff_t n_classes = table->n_classes, width = n_classes * ITEM;
    const int is_narrow = n_classes < PIECE;
    if (n == LANES && (!is_narrow || (table->source_stride >= width
                                      && i + LANES + PIECE <= table->n_rows))) {
        FS_(load_block)(table->source + i * table->source_stride, table->source_stride, n_classes,
                        block);
        return;
    }
    const ptrdiff_t stride = is_narrow ? PIECE : n_classes;
    REAL copy[LANES * FS_BLOCK_CLASSES];
    memset(copy, 0, (size_t)(LANES * stride) * ITEM);
    for (ptrdiff_t l = 0; l < n; l++)
        memcpy(copy + l * stride, FS_(row)(table, i + l), (size_t)width);
    FS_(load_block)((const char *)copy, stride * ITEM, n_classes, block);
}

/* The way back: store_block to rows i to i + n - 1. */
FS_INLINE void FS_(give_block)(const fs_table *table, ptrdiff_t i, ptrdiff_t n, const REAL *block,
                               VEC factor, VEC less, const int is_log)
{
    const ptrdiff_t n_classes = table->n_classes;
    if (n == LANES) {
        FS_(store_block)((char *)FS_(row_out)(table, i), table->target_stride, n_classes, block,
                         factor, less, is_log);
        return;
    }
    REAL copy[LANES * FS_BLOCK_CLASSES];
    FS_(store_block)((char *)copy, n_classes * ITEM, n_classes, block, factor, less, is_log);
    for (ptrdiff_t l = 0; l < n; l++)
        memcpy(FS_(row_out)(table, i + l), copy + l * n_classes, (size_t)(n_classes * ITEM));
}

/* --- What is computed of a block ---------------------------------------------------------------*/

FS_INLINE VEC FS_(block_max)(const REAL *block, ptrdiff_t n_classes)
{
    VEC top = FS_(broadcast)(-(REAL)INFINITY);
    for (ptrdiff_t k = 0; k < n_classes; k++)
        top = FS_(max)(top, FS_(load)(block + k * LANES));
    return top;
}

FS_INLINE VEC FS_(block_exp)(REAL *block, ptrdiff_t n_classes)
{
    const FS_(base) base = FS_(base_of)(FS_(block_max)(block, n_classes));
    VEC sum = {0}, odd = {0}; /* two of half the length round less, and needn't wait as much */
    for (ptrdiff_t k = 0; k < n_classes; k += 2) {
        VEC e = FS_(exp_from)(FS_(load)(block + k * LANES), base);
        FS_(store)(block + k * LANES, e);
        sum += e;
        if (k + 1 == n_classes)
            break;
        e = FS_(exp_from)(FS_(load)(block + (k + 1) * LANES), base);
        FS_(store)(block + (k + 1) * LANES, e);
        odd += e;
    }
    return sum + odd;
}

FS_INLINE VEC FS_(block_log_sum)(const REAL *block, ptrdiff_t n_classes, VEC top)
{
    const FS_(base) base = FS_(base_of)(top);
    const IVEC all = ~(IVEC){0};
    VEC below = {0}, odd = {0};
    IVEC ties = {0};
    for (ptrdiff_t k = 0; k < n_classes; k += 2) {
        FS_(add_below)(FS_(load)(block + k * LANES), top, base, all, &below, &ties);
        if (k + 1 == n_classes)
            break;
        FS_(add_below)(FS_(load)(block + (k + 1) * LANES), top, base, all, &odd, &ties);
    }
    return FS_(log_sum)(top, below + odd, FS_(to_real)(ties));
}
