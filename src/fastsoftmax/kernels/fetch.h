/* Rows that are needed next, asked for from memory while there is arithmetic to do.
 *
 * Nothing is computed, and nothing read but row numbers. Where a fetcher starts and how fast it goes
 * is for _minibatch.pxi to say; the tiles of vector.h call it. Included by simd.h.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#define FS_FETCH_LEVEL 2 /* into the second-level cache: a part does not fit the first */

/* Rows of X that will be staged next, asked for line by line while these ones are computed: the
 * tiles call fs_fetch once a step, so that the memory is kept busy and never flooded. */
typedef struct {
    const char *line, *end;   /* the next line to ask for, and the end of its row */
    const char *data;         /* X, or its next row where there are no numbers */
    const intptr_t *rows;     /* row numbers from the next row on, or NULL */
    const int32_t *y_true;    /* a row's class code is asked for with it, or NULL */
    ptrdiff_t n_rows;         /* how many are left after this row */
    ptrdiff_t row_stride;     /* bytes */
    ptrdiff_t row_size;       /* bytes */
    ptrdiff_t lines_per_step; /* 0: nothing left */
    ptrdiff_t lines_between;  /* to ask for between the forward and the backward step */
} fs_fetcher;

FS_INLINE void fs_fetch_row(fs_fetcher *f)
{
    if (f->n_rows <= 0) {
        f->lines_per_step = 0;
        return;
    }
    const char *row = f->data;
    if (f->rows) {
        if (f->y_true)
            __builtin_prefetch(f->y_true + *f->rows, 0, FS_FETCH_LEVEL);
        row += *f->rows++ * f->row_stride;
    } else {
        f->data += f->row_stride;
    }
    f->line = (const char *)((uintptr_t)row & ~(uintptr_t)63);
    f->end = row + f->row_size;
    f->n_rows--;
}

FS_INLINE void fs_fetch(fs_fetcher *f)
{
    for (ptrdiff_t i = 0; i < f->lines_per_step; i++) {
        __builtin_prefetch(f->line, 0, FS_FETCH_LEVEL);
        f->line += 64;
        if (f->line >= f->end)
            fs_fetch_row(f);
    }
}

/* What the steps alone would leave for the stage to wait for. */
FS_INLINE void fs_fetch_between(fs_fetcher *f)
{
    const ptrdiff_t lines_per_step = f->lines_per_step;
    if (!lines_per_step)
        return;
    f->lines_per_step = f->lines_between;
    fs_fetch(f);
    if (f->lines_per_step || !f->lines_between)
        f->lines_per_step = lines_per_step;
}

#endif
