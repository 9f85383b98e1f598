/* softmax, its logarithm and gradient, log-sum-exp and cross-entropy of rows first to last - 1.
 *
 * Each function has one way for short rows (short_rows.h) and one for long rows (long_rows.h). A row
 * is computed alike wherever it stands, so splitting the rows among threads changes no bit. No
 * checks, no threads here. Included by simd.h after these, once for float and once for double; used
 * by _functions.pxi.
 */

/* Maximum and log-sum of rows i to i + n - 1, n ≤ LANES; short rows are left in `block`. Where rows
 * are to be written as well, their cache lines are asked for during the arithmetic. */
FS_INLINE VEC FS_(rows_log_sum)(const fs_table *table, ptrdiff_t i, ptrdiff_t n, REAL *block,
                                VEC *top_out, const int is_output_rows)
{
    const ptrdiff_t n_classes = table->n_classes;
    if (n_classes <= FS_BLOCK_CLASSES) {
        FS_(take_block)(table, i, n, block);
        *top_out = FS_(block_max)(block, n_classes);
        return FS_(block_log_sum)(block, n_classes, *top_out);
    }
    REAL top[LANES];
    VEC below[LANES > 4 ? LANES : 4], ties[LANES > 4 ? LANES : 4];
    FS_(group_max)(table, i, n, top);
    for (ptrdiff_t l = 0; l < n; l++) {
        if (is_output_rows && n_classes * ITEM <= FS_GROUP_BYTES)
            for (ptrdiff_t byte = 0; byte < n_classes * ITEM; byte += 64)
                __builtin_prefetch((char *)FS_(row_out)(table, i + l) + byte, 1);
        FS_(row_below)(FS_(row)(table, i + l), n_classes, top[l], n * table->source_stride,
                        below + l, ties + l);
    }
    *top_out = FS_(load)(top);
    return FS_(log_sum)(*top_out, FS_(totals)(below, n), FS_(totals)(ties, n));
}

/* softmax of rows i to i + n - 1, or with y_true weight · (softmax - one-hot). */
FS_INLINE void FS_(some_softmax)(const fs_table *table, ptrdiff_t i, ptrdiff_t n)
{
    if (table->n_classes <= FS_BLOCK_CLASSES) {
        REAL block[FS_BLOCK_CLASSES * LANES] __attribute__((aligned(64)));
        FS_(take_block)(table, i, n, block);
        VEC factor = FS_(weights)(table, i, n) / FS_(block_exp)(block, table->n_classes);
        FS_(give_block)(table, i, n, block, factor, factor, 0);
    } else {
        FS_(group_softmax)(table, i, n);
    }
    if (table->y_true)
        for (ptrdiff_t l = 0; l < n; l++)
            FS_(row_out)(table, i + l)[fs_code(table, i + l)] -= FS_(weight)(table, i + l);
}

FS_INLINE void FS_(some_log_softmax)(const fs_table *table, ptrdiff_t i, ptrdiff_t n)
{
    REAL block[FS_BLOCK_CLASSES * LANES] __attribute__((aligned(64))), top[LANES], log_sum[LANES];
    VEC tops, log_sums = FS_(rows_log_sum)(table, i, n, block, &tops, 1);
    if (table->n_classes <= FS_BLOCK_CLASSES) {
        FS_(give_block)(table, i, n, block, tops, log_sums, 1);
        return;
    }
    FS_(store)(top, tops);
    FS_(store)(log_sum, log_sums);
    for (ptrdiff_t l = 0; l < n; l++)
        FS_(log_softmax_long)(FS_(row)(table, i + l), FS_(row_out)(table, i + l), table->n_classes,
                              top[l], log_sum[l]);
}

FS_NOINLINE void FS_(softmax)(const fs_table *table, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t step = FS_(group)(table);
    for (ptrdiff_t i = first; i < last; i += step)
        FS_(some_softmax)(table, i, step < last - i ? step : last - i);
}

FS_NOINLINE void FS_(log_softmax)(const fs_table *table, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t step = FS_(group)(table);
    for (ptrdiff_t i = first; i < last; i += step)
        FS_(some_log_softmax)(table, i, step < last - i ? step : last - i);
}

FS_NOINLINE REAL FS_(nan_or)(const REAL *row, ptrdiff_t n, REAL otherwise)
{
    for (ptrdiff_t k = 0; k < n; k++)
        if (isnan(row[k]))
            return row[k];
    return otherwise;
}

/* log-sum-exp, or with y_true the cross-entropy, one value a row. */
FS_NOINLINE void FS_(losses)(const fs_table *table, ptrdiff_t first, ptrdiff_t last)
{
    REAL block[FS_BLOCK_CLASSES * LANES] __attribute__((aligned(64)));
    const ptrdiff_t step = FS_(group)(table);
    for (ptrdiff_t i = first; i < last; i += step) {
        const ptrdiff_t n = step < last - i ? step : last - i;
        REAL *out = FS_(row_out)(table, i);
        REAL top[LANES], value[LANES];
        VEC tops, log_sums = FS_(rows_log_sum)(table, i, n, block, &tops, 0);
        FS_(store)(top, tops);
        FS_(store)(value, log_sums + (table->y_true ? (VEC){0} : tops));
        for (ptrdiff_t l = 0; l < n; l++) {
            if (table->y_true)
                value[l] += top[l] - FS_(row)(table, i + l)[fs_code(table, i + l)];
            else if (isinf(top[l])) /* no softmax, but a log-sum-exp unless there is a NaN */
                value[l] = FS_(nan_or)(FS_(row)(table, i + l), table->n_classes, top[l]);
            out[l] = value[l];
        }
    }
}
