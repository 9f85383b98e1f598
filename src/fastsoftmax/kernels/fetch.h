/* Rows that are needed next, asked for from memory while there is arithmetic to do.
 *
 * Nothing is computed, and nothing read but row numbers. Where a fetcher starts and how fast it goes
 * is for _minibatch.pxi to say; the tiles of forward.h and backward.h call it. Included by simd.h.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#define FS_FETCH_LEVEL 2 /* into the second-level cache: a part does not fit the first */
/* Rows that are asked for in turn, a line of each: from rows in random order the memory answers a
 * third faster so than to one row after the other, whose lines wait for the same page of it. */
#define FS_FETCH_ROWS 8
#define FS_FETCH_LINES 4 /* asked for at once */
/* Tiles ask once in so many steps, and once before what is left of them. Always as many, as a
 * processor foresees the end of a loop only where it has seen it before; and in line, as a call would
 * drop the sums from their registers. simd.h says in how many. */
/* Takes `step` for each `at`, a variable, from its value up to `end` in strides of `size`. */
#define FS_IN_STEPS(at, end, size, n_steps, fetcher, step)                                      \
    do {                                                                                        \
        while (at + (n_steps) * (size) <= end) {                                                \
            fs_fetch(fetcher);                                                                  \
            FS_KEEP_LOOP                                                                        \
            for (int taken = 0; taken < (n_steps); taken++, at += (size))                       \
                step;                                                                           \
        }                                                                                       \
        if (at < end)                                                                           \
            fs_fetch(fetcher);                                                                  \
        for (; at < end; at += (size))                                                          \
            step;                                                                               \
    } while (0)

/* Rows of X that will be staged next. What falls due at each call is its share of them all, so that
 * the memory is kept busy and never flooded. */
typedef struct {
    const char *row[FS_FETCH_ROWS]; /* those under way */
    ptrdiff_t turn;           /* whose line is next, */
    ptrdiff_t at;             /* and where in its row, in bytes */
    ptrdiff_t due;            /* lines that weren't asked for yet, in 256ths */
    ptrdiff_t pace;           /* what a call adds to them; 0 where nothing is left */
    ptrdiff_t later_pace;     /* that of the backward step's calls */
    const char *data;         /* X, or its next row where there are no numbers */
    const intptr_t *rows;     /* row numbers from the next row on, or NULL */
    const int32_t *y_true;    /* a row's class code is asked for with it, or NULL */
    ptrdiff_t n_rows;         /* how many are left after those under way */
    ptrdiff_t row_stride;     /* bytes */
    ptrdiff_t row_size;       /* bytes */
} fs_fetcher;

/* Make it ask for nothing. */
FS_INLINE void fs_fetch_nothing(fs_fetcher *f)
{
    f->due = f->pace = f->later_pace = 0;
}

/* Go on to the next rows. Where fewer are left, the first of them stands for the others: what was
 * asked for already costs nothing. */
FS_INLINE void fs_fetch_rows(fs_fetcher *f)
{
    f->turn = f->at = 0;
    if (f->n_rows <= 0) {
        fs_fetch_nothing(f);
        return;
    }
    for (ptrdiff_t i = 0; i < FS_FETCH_ROWS; i++) {
        if (i >= f->n_rows) {
            f->row[i] = f->row[0];
            continue;
        }
        f->row[i] = f->data;
        if (f->rows) {
            if (f->y_true)
                __builtin_prefetch(f->y_true + *f->rows, 0, FS_FETCH_LEVEL);
            f->row[i] += *f->rows++ * f->row_stride;
        } else {
            f->data += f->row_stride;
        }
    }
    f->n_rows -= FS_FETCH_ROWS;
}

/* Whose share is due at each call from now on: that of the backward step. */
FS_INLINE void fs_fetch_later(fs_fetcher *f)
{
    f->pace = f->later_pace;
}

FS_INLINE void fs_fetch(fs_fetcher *f)
{
    f->due += f->pace;
    while (f->due >= FS_FETCH_LINES * 256) {
        const char *const *row = f->row + f->turn;
        f->due -= FS_FETCH_LINES * 256;
        FS_UNROLL
        for (int i = 0; i < FS_FETCH_LINES; i++)
            __builtin_prefetch(row[i] + f->at, 0, FS_FETCH_LEVEL);
        f->turn += FS_FETCH_LINES;
        if (f->turn < FS_FETCH_ROWS)
            continue;
        /* Its last byte at the end, as a row may start within a line. */
        const ptrdiff_t last = f->row_size - 1, next = f->at + 64;
        f->turn = 0;
        if (f->at == last)
            fs_fetch_rows(f);
        else
            f->at = next < last ? next : last;
    }
}

#endif
