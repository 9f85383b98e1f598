/* Rows of more than FS_BLOCK_CLASSES values: each goes along itself, a few of them together.
 *
 * Their maxima first, then their exponentials and sums, then the scaling: one row's sums are waited
 * for during another's arithmetic. No checks, no threads. Included by simd.h after rows.h and
 * exponentials.h, once for float and once for double; used by functions.h.
 *
 * Rows here are longer than a vector. The last vector of a row ends with the row, and so overlaps
 * the one before it: `fresh` are its lanes that are new. It is loaded before anything is stored, as
 * `out` may be the row itself, and stored last, as loads wait for a store that they overlap in
 * part.
 *
 * `ahead` is how many bytes on the next group's row lies: it is asked for while there is arithmetic
 * to do, since the maxima, which come first, would only wait for memory (bench/test_functions.py:
 * a third less time).
 */

FS_INLINE IVEC FS_(fresh)(ptrdiff_t n)
{
    IVEC lane;
    for (int l = 0; l < LANES; l++)
        lane[l] = l;
    return lane >= (INT)(LANES - 1 - (n - 1) % LANES);
}

FS_INLINE REAL FS_(row_max)(const REAL *row, ptrdiff_t n)
{
    VEC last = FS_(load)(row + n - LANES), top[4] = {last, last, last, last};
    ptrdiff_t i = 0; /* a NaN may be passed over here: it shows in the sum of exponentials */
    for (; i + 4 * LANES < n; i += 4 * LANES)
        FS_UNROLL
        for (int v = 0; v < 4; v++)
            top[v] = FS_(max)(top[v], FS_(load)(row + i + v * LANES));
    FS_UNROLL
    for (int v = 0; v < 3; v++, i += LANES)
        if (i + LANES < n)
            top[v] = FS_(max)(top[v], FS_(load)(row + i));
    return FS_(largest)(FS_(max)(FS_(max)(top[0], top[1]), FS_(max)(top[2], top[3])));
}

/* Adds up four sums and begins them anew. Sums are taken in runs: in a row of 10^5 equal values
 * each addition rounds the same way, and one long run would be off by hundreds of ULP. */
FS_INLINE VEC FS_(end_run)(VEC *sum)
{
    VEC total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    sum[0] = sum[1] = sum[2] = sum[3] = (VEC){0};
    return total;
}

/* exp_from of a row, its last vector into *last_out and the rest into `out`. The items of what it
 * gives add up to the sum. */
FS_INLINE VEC FS_(row_exp)(const REAL *row, ptrdiff_t n, FS_(base) base, ptrdiff_t ahead,
                             REAL *out, VEC *last_out)
{
    VEC last = FS_(exp_from)(FS_(load)(row + n - LANES), base);
    VEC sum[4] = {(VEC)((IVEC)last & FS_(fresh)(n))}, total = {0};
    ptrdiff_t i = 0, run = FS_RUN;
    for (; i + 4 * LANES < n; i += 4 * LANES) {
        if (run-- == 0) {
            total += FS_(end_run)(sum);
            run = FS_RUN;
        }
        FS_UNROLL
        for (int v = 0; v < 4; v++) {
            __builtin_prefetch((const char *)(row + i + v * LANES) + ahead);
            VEC e = FS_(exp_from)(FS_(load)(row + i + v * LANES), base);
            FS_(store)(out + i + v * LANES, e);
            sum[v] += e;
        }
    }
    FS_UNROLL
    for (int v = 0; v < 3; v++, i += LANES)
        if (i + LANES < n) {
            __builtin_prefetch((const char *)(row + i) + ahead);
            VEC e = FS_(exp_from)(FS_(load)(row + i), base);
            FS_(store)(out + i, e);
            sum[v] += e;
        }
    *last_out = last;
    return total + FS_(end_run)(sum);
}

/* How many rows go together, step by step: a row alone would wait for each of its sums, whose items
 * depend on one another. But together they must stay in the first cache. */
FS_INLINE ptrdiff_t FS_(group)(const fs_table *table)
{
    const ptrdiff_t n = FS_GROUP_BYTES / (table->n_classes * ITEM);
    return n < 1 ? 1 : n < LANES ? n : LANES;
}

/* Maxima of rows i to i + n - 1, n ≤ LANES; of the other lanes, 0. */
FS_INLINE void FS_(group_max)(const fs_table *table, ptrdiff_t i, ptrdiff_t n, REAL *top)
{
    memset(top, 0, LANES * ITEM);
    for (ptrdiff_t l = 0; l < n; l++)
        top[l] = FS_(row_max)(FS_(row)(table, i + l), table->n_classes);
}

FS_INLINE void FS_(group_softmax)(const fs_table *table, ptrdiff_t i, ptrdiff_t n)
{
    const ptrdiff_t n_classes = table->n_classes;
    REAL top[LANES], factor[LANES];
    VEC last[LANES], sum[LANES > 4 ? LANES : 4];
    FS_(group_max)(table, i, n, top);
    for (ptrdiff_t l = 0; l < n; l++)
        sum[l] = FS_(row_exp)(FS_(row)(table, i + l), n_classes,
                              FS_(base_of)(FS_(broadcast)(top[l])), n * table->source_stride,
                              FS_(row_out)(table, i + l), last + l);
    FS_(store)(factor, FS_(weights)(table, i, n) / FS_(totals)(sum, n));
    for (ptrdiff_t l = 0; l < n; l++) {
        REAL *out = FS_(row_out)(table, i + l);
        for (ptrdiff_t k = 0; k + LANES < n_classes; k += LANES)
            FS_(store)(out + k, FS_(load)(out + k) * factor[l]);
        FS_(store)(out + n_classes - LANES, last[l] * factor[l]);
    }
}

/* The arguments of log_sum for one row, as vectors whose items add up to them. */
FS_INLINE void FS_(row_below)(const REAL *row, ptrdiff_t n, REAL top, ptrdiff_t ahead,
                              VEC *below_out, VEC *ties_out)
{
    const VEC tops = FS_(broadcast)(top);
    const FS_(base) base = FS_(base_of)(tops);
    const IVEC all = ~(IVEC){0};
    VEC below[4] = {{0}}, total = {0};
    IVEC ties[4] = {{0}};
    ptrdiff_t i = 0, run = FS_RUN;
    for (; i + 4 * LANES < n; i += 4 * LANES) {
        if (run-- == 0) {
            total += FS_(end_run)(below);
            run = FS_RUN;
        }
        FS_UNROLL
        for (int v = 0; v < 4; v++) {
            __builtin_prefetch((const char *)(row + i + v * LANES) + ahead);
            FS_(add_below)(FS_(load)(row + i + v * LANES), tops, base, all, below + v, ties + v);
        }
    }
    FS_UNROLL
    for (int v = 0; v < 3; v++, i += LANES)
        if (i + LANES < n) {
            __builtin_prefetch((const char *)(row + i) + ahead);
            FS_(add_below)(FS_(load)(row + i), tops, base, all, below + v, ties + v);
        }
    FS_(add_below)(FS_(load)(row + n - LANES), tops, base, FS_(fresh)(n), below + 3, ties + 3);
    *below_out = total + FS_(end_run)(below);
    *ties_out = FS_(to_real)((ties[0] + ties[1]) + (ties[2] + ties[3]));
}

FS_INLINE void FS_(log_softmax_long)(const REAL *row, REAL *out, ptrdiff_t n, REAL top,
                                     REAL log_sum)
{
    const VEC last = FS_(load)(row + n - LANES);
    for (ptrdiff_t k = 0; k + LANES < n; k += LANES)
        FS_(store)(out + k, (FS_(load)(row + k) - top) - log_sum);
    FS_(store)(out + n - LANES, (last - top) - log_sum);
}
