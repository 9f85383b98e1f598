/* The caller's rows as the functions of functions.h take them, and the check of their class codes.
 *
 * Strides and pointers; the dtype is the function's. Included by simd.h; filled by _functions.pxi.
 */
#ifndef FS_TABLE_H
#define FS_TABLE_H

/* Rows of the caller's, and what a function of them reads and writes. */
typedef struct {
    const char *source;
    ptrdiff_t source_stride; /* bytes from row to row; the items of a row are neighbours */
    ptrdiff_t n_rows;
    ptrdiff_t n_classes;
    char *target;            /* rows, or for a function that gives one value a row, values */
    ptrdiff_t target_stride; /* bytes */
    const void *y_true;      /* class codes, or NULL */
    ptrdiff_t code_bytes;    /* 4 or 8 */
    const void *weight;      /* with y_true: one a row, or where weight_step is 0 one for all */
    ptrdiff_t weight_step;
} fs_table;

/* A row's class, never beyond the last one, whatever was written over it since it was checked:
 * another thread of the process may change y_true while it is being read. */
FS_INLINE ptrdiff_t fs_code(const fs_table *table, ptrdiff_t row)
{
    const uint64_t last = (uint64_t)table->n_classes - 1;
    const uint64_t code = table->code_bytes == 4
                              ? (uint64_t)__atomic_load_n((const int32_t *)table->y_true + row,
                                                          __ATOMIC_RELAXED)
                              : (uint64_t)__atomic_load_n((const int64_t *)table->y_true + row,
                                                          __ATOMIC_RELAXED);
    return (ptrdiff_t)(code < last ? code : last);
}

/* The first row whose class code is not in [0, n_classes), or -1. */
FS_INLINE ptrdiff_t fs_wrong_code(const fs_table *table)
{
    const uint64_t limit = (uint64_t)table->n_classes;
    const int is_short = table->code_bytes == 4;
    const int32_t *shorts = (const int32_t *)table->y_true;
    const int64_t *longs = (const int64_t *)table->y_true;
    for (ptrdiff_t first = 0; first < table->n_rows; first += 4096) {
        const ptrdiff_t last = first + 4096 < table->n_rows ? first + 4096 : table->n_rows;
        int wrong = 0;
        if (is_short)
            for (ptrdiff_t i = first; i < last; i++)
                wrong |= (uint32_t)shorts[i] >= limit;
        else
            for (ptrdiff_t i = first; i < last; i++)
                wrong |= (uint64_t)longs[i] >= limit;
        for (ptrdiff_t i = first; wrong && i < last; i++)
            if ((is_short ? (uint64_t)(int64_t)shorts[i] : (uint64_t)longs[i]) >= limit)
                return i;
    }
    return -1;
}

#endif
