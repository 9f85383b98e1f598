/* Rows that are needed next, asked for from memory while there is arithmetic to do.
 *
 * Nothing is computed, and nothing read but row numbers. Where a fetcher starts and how fast it goes
 * is for _minibatch.pxi to say; the tiles of forward.h and backward.h call it. Included by simd.h.
 */
#ifndef FS_FETCH_H
#define FS_FETCH_H

#define FS_FETCH_LEVEL 2 /* into the second-level cache: a part does not fit the first */
/* Rows of which a line each is asked for at once: from rows in random order the memory answers a
 * third faster so than to one row after the other, whose lines wait for the same page of it. */
#define FS_FETCH_ROWS 8
/* Takes `step` for each `at`, a variable, from its value up to `end` in strides of `size`, and asks
 * for lines whenever a run of steps is over. What lies between two calls is a loop of its own, so
 * short that a processor keeps it as it was decoded: each call costs ten cycles. The calls are in
 * line, as others would drop the sums from their registers. */
#define FS_IN_STEPS(at, end, size, fetcher, step)                                               \
    do {                                                                                        \
        ptrdiff_t left_ = (fetcher)->left;                                                      \
        for (;;) {                                                                              \
            const ptrdiff_t to_go_ = ((end) - at) / (size);                                     \
            const ptrdiff_t stop_ = to_go_ < left_ ? (end) : at + left_ * (size);               \
            left_ -= to_go_ < left_ ? to_go_ : left_;                                           \
            FS_KEEP_LOOP                                                                        \
            for (; at < stop_; at += (size))                                                    \
                step;                                                                           \
            if (at >= (end))                                                                    \
                break;                                                                          \
            left_ = fs_fetch(fetcher);                                                          \
        }                                                                                       \
        (fetcher)->left = left_;                                                                \
    } while (0)

/* Rows of X that will be staged next. A run is as long as their lines allow, so that the memory is
 * kept busy and never flooded. */
typedef struct {
    const char *row[FS_FETCH_ROWS]; /* those under way */
    ptrdiff_t at;             /* what is next of each, in bytes */
    ptrdiff_t left;           /* steps of this run that are to come */
    ptrdiff_t run;            /* 256ths of a step in a run; endless where no row is left, */
    ptrdiff_t later_run;      /* in the backward step, */
    ptrdiff_t rest;           /* and what the last run left over */
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
    f->left = f->run = f->later_run = PTRDIFF_MAX / 2;
    f->rest = 0;
}

/* Go on to the next rows. Where fewer are left, the first of them stands for the others: what was
 * asked for already costs nothing. */
FS_INLINE void fs_fetch_rows(fs_fetcher *f)
{
    f->at = 0;
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

/* Start with n_rows rows, half of whose lines are asked for in so many steps of the forward step,
 * the others in later_steps of the backward step; all in the former where there is no latter. */
FS_INLINE void fs_fetch_start(fs_fetcher *f, ptrdiff_t steps, ptrdiff_t later_steps)
{
    /* One more than it has lines, as a row may start within one. */
    const ptrdiff_t calls_of_row = fs_parts(f->row_size, 64) + 1;
    const ptrdiff_t n_calls = fs_parts(f->n_rows, FS_FETCH_ROWS) * calls_of_row;
    f->run = (later_steps ? 512 : 256) * steps / n_calls;
    f->later_run = 512 * later_steps / n_calls;
    f->left = f->run >> 8;
    f->rest = 0;
    fs_fetch_rows(f);
}

/* Runs are those of the backward step from now on. */
FS_INLINE void fs_fetch_later(fs_fetcher *f)
{
    f->run = f->later_run;
    f->left = f->run >> 8;
}

/* Gives the steps of the next run. */
FS_INLINE ptrdiff_t fs_fetch(fs_fetcher *f)
{
    /* Its last byte at the end, as a row may start within a line. */
    const ptrdiff_t at = f->at, last = f->row_size - 1, next = at + 64;
    FS_UNROLL
    for (int i = 0; i < FS_FETCH_ROWS; i++)
        __builtin_prefetch(f->row[i] + at, 0, FS_FETCH_LEVEL);
    if (at == last)
        fs_fetch_rows(f);
    else
        f->at = next < last ? next : last;
    f->rest = (f->rest & 255) + f->run;
    return f->rest >> 8;
}

#endif
