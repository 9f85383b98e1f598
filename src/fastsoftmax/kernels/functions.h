/* softmax, its logarithm and gradient, log-sum-exp and cross-entropy of rows first to last - 1.
 *
 * Each function has one way for short rows, in blocks (rows.h), and one for long rows. A row is
 * computed alike wherever it stands, so splitting the rows among threads changes no bit. No
 * checks, no threads here. Included by simd.h after rows.h, once for float and once for double;
 * used by _functions.pxi.
 */

/* What is taken off a row before exp so that nothing overflows. It is not the row's maximum:
 * raw - max is rounded, at a distance of 100 by 64 ULP of its exponential. Within SHIFT_LIMIT it is
 * a power of two, taken off in the exponent, which is exact. Beyond, it is the maximum, and
 * raw - max is exact wherever its exponential isn't 0 (Sterbenz: raw is then within a factor of
 * two). */
typedef struct {
    VEC offset; /* subtracted */
    VEC power;  /* of two, divided by */
    VEC lowest; /* exp from here down is 0 */
} FS_(base);

FS_INLINE FS_(base) FS_(base_of)(VEC top)
{
    IVEC is_far = (top > SHIFT_LIMIT) | (top < -SHIFT_LIMIT);
    FS_(base) base;
    base.offset = (VEC)(is_far & (IVEC)top);
    VEC rest = top - base.offset; /* NaN where top is infinite: such a row has no softmax */
    base.power = (rest * LOG2_E + ROUND_MAGIC) - ROUND_MAGIC;
    base.lowest = rest + (REAL)(EXP_LOWEST - 1); /* the maximum's own exponential may reach √2 */
    return base;
}

/* exp(raw) / exp(base); at the maximum between √½ and √2. */
FS_INLINE VEC FS_(exp_from)(VEC raw, FS_(base) base)
{
    return FS_(exp_over)(FS_(max)(base.lowest, raw - base.offset), base.power);
}

/* log Σ exp(raw - top), from Σ exp_from of what is below top and from how many equal it. One of
 * these is log1p's 1: adding it first would lose the digits of a loss near 0. */
FS_INLINE VEC FS_(log_sum)(VEC top, VEC below, VEC ties)
{
    return FS_(log1p)(below / FS_(exp_from)(top, FS_(base_of)(top)) + (ties - (REAL)1));
}

FS_INLINE const REAL *FS_(row)(const fs_table *table, ptrdiff_t i)
{
    return (const REAL *)(table->source + i * table->source_stride);
}
FS_INLINE REAL *FS_(row_out)(const fs_table *table, ptrdiff_t i)
{
    return (REAL *)(table->target + i * table->target_stride);
}
FS_INLINE REAL FS_(weight)(const fs_table *table, ptrdiff_t i)
{
    return table->y_true ? ((const REAL *)table->weight)[i * table->weight_step] : (REAL)1;
}

/* The weights of rows i to i + n - 1, n ≤ LANES. */
FS_INLINE VEC FS_(weights)(const fs_table *table, ptrdiff_t i, ptrdiff_t n)
{
    if (!table->y_true || table->weight_step == 0)
        return FS_(broadcast)(FS_(weight)(table, i));
    const REAL *weight = (const REAL *)table->weight + i;
    return n == LANES ? FS_(load)(weight) : FS_(load_some)(weight, n);
}

/* --- Long rows ---------------------------------------------------------------------------------*/

/* Rows here are longer than a vector. The last vector of a row ends with the row, and so overlaps
 * the one before it: `fresh` are its lanes that are new. It is loaded before anything is stored, as
 * `out` may be the row itself, and stored last, as loads wait for a store that they overlap in
 * part.
 *
 * `ahead` is how many bytes on the next group's row lies: it is asked for while there is arithmetic
 * to do, since the maxima, which come first, would only wait for memory (bench/test_functions.py:
 * a third less time). */
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

/* One vector of a row's sums for log_sum, of those lanes that count. */
FS_INLINE void FS_(add_below)(VEC raw, VEC top, FS_(base) base, IVEC counts, VEC *below, IVEC *ties)
{
    VEC e = FS_(exp_from)(raw, base);
    IVEC tie = raw == top;
    *below += (VEC)(~tie & counts & (IVEC)e);
    *ties -= tie & counts;
}

FS_INLINE VEC FS_(to_real)(IVEC n) /* of whole numbers below 2^22 */
{
    return (VEC)(n + (IVEC)FS_(broadcast)(ROUND_MAGIC)) - ROUND_MAGIC;
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

/* --- Short rows --------------------------------------------------------------------------------*/

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

/* --- The functions -----------------------------------------------------------------------------*/

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

/* The end of what simd.h defines for float or for double. */
#undef VEC
#undef IVEC
#undef LANES
#undef PIECE
#undef REAL
#undef ITEM
#undef INT
#undef FS_
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUND_MAGIC
#undef LOG2_E
#undef LN2_HI
#undef LN2_LO
#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef SHIFT_LIMIT
#undef SQRT_HALF_BITS
#undef EXP_TERMS
#undef LOG_TERMS
