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

FS_INLINE ptrdiff_t fs_code(const fs_table *table, ptrdiff_t row)
{
    return table->code_bytes == 4 ? (ptrdiff_t)((const int32_t *)table->y_true)[row]
                                  : (ptrdiff_t)((const int64_t *)table->y_true)[row];
}

/* The first row whose class code is not in [0, n_classes), or -1. */
FS_INLINE ptrdiff_t fs_wrong_code(const fs_table *table)
{
    const uint64_t limit = (uint64_t)table->n_classes;
    for (ptrdiff_t first = 0; first < table->n_rows; first += 4096) {
        const ptrdiff_t last = first + 4096 < table->n_rows ? first + 4096 : table->n_rows;
        int wrong = 0;
        if (table->code_bytes == 4)
            for (ptrdiff_t i = first; i < last; i++)
                wrong |= (uint32_t)((const int32_t *)table->y_true)[i] >= limit;
        else
            for (ptrdiff_t i = first; i < last; i++)
                wrong |= (uint64_t)((const int64_t *)table->y_true)[i] >= limit;
        for (ptrdiff_t i = first; wrong && i < last; i++)
            if ((uint64_t)fs_code(table, i) >= limit)
                return i;
    }
    return -1;
}

#endif
