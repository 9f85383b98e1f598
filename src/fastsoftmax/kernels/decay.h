/* What steps without a gradient of the loss do to a weight and its velocity, many steps at once.
 *
 * A feature that no row of a minibatch holds is still moved by the penalty and by its velocity. Step
 * t does so linearly: (w, v) becomes M_t (w, v), M_t a 2 x 2 matrix that is the same for all features
 * and classes. So a feature is left alone until it is met again, and then catches up with one
 * product of matrices. Products and not quotients of running products: nothing is divided by what
 * may have become 0 or tiny, whatever the learning rates.
 *
 * Kept for each step s: the product of the steps from s to now, or, once the block of DECAY_BLOCK
 * steps that s is in is over, to the end of that block; and for each block the product of the blocks
 * after it that are over. A lookup is two products at most. Keeping this up costs DECAY_BLOCK/2
 * products a step and one a block that is over at each block's end.
 * Included by simd.h; used by sparse.h and _sparse_features.pxi.
 */
#ifndef FS_DECAY_H
#define FS_DECAY_H

#define FS_DECAY_BLOCK 128

typedef struct {
    double wv[4]; /* row-major: what w and v become of w and v */
} fs_matrix;

typedef struct {
    fs_matrix *since;      /* n_steps + 1 of them */
    fs_matrix *after;      /* one a block */
    const double *rates;   /* the learning rate of each step */
    double momentum, alpha;
    ptrdiff_t now;         /* steps taken */
    int update;
    int is_idle;           /* no step moves a feature that isn't there */
} fs_decay;

FS_INLINE fs_matrix fs_matrix_product(fs_matrix a, fs_matrix b)
{
    const fs_matrix product = {{a.wv[0] * b.wv[0] + a.wv[1] * b.wv[2],
                                a.wv[0] * b.wv[1] + a.wv[1] * b.wv[3],
                                a.wv[2] * b.wv[0] + a.wv[3] * b.wv[2],
                                a.wv[2] * b.wv[1] + a.wv[3] * b.wv[3]}};
    return product;
}

static const fs_matrix fs_identity = {{1, 0, 0, 1}};

/* The step of step.h where the gradient is the penalty's, alpha w, alone. */
FS_INLINE fs_matrix fs_decay_matrix(const fs_decay *decay, double rate)
{
    const double shrink = rate * decay->alpha, momentum = decay->momentum;
    if (decay->update == FS_MOMENTUM)
        return (fs_matrix){{1 - shrink, -momentum, shrink, momentum}};
    if (decay->update == FS_NESTEROV)
        return (fs_matrix){{1 - shrink * (1 + momentum), -momentum * momentum, shrink, momentum}};
    return (fs_matrix){{1 - shrink, 0, 0, 1}};
}

FS_INLINE void fs_decay_start(fs_decay *decay)
{
    decay->now = 0;
    decay->is_idle = decay->alpha == 0
                     && (decay->update == FS_SGD || decay->update == FS_ADAGRAD);
    decay->since[0] = fs_identity;
}

/* One step more is over. */
FS_NOINLINE void fs_decay_step(fs_decay *decay)
{
    const ptrdiff_t block = decay->now / FS_DECAY_BLOCK, first = block * FS_DECAY_BLOCK;
    const fs_matrix step = fs_decay_matrix(decay, decay->rates[decay->now]);
    decay->now++;
    if (decay->is_idle || decay->update == FS_ADAGRAD)
        return;
    for (ptrdiff_t s = first; s < decay->now; s++)
        decay->since[s] = fs_matrix_product(step, decay->since[s]);
    if (decay->now == first + FS_DECAY_BLOCK) {
        for (ptrdiff_t b = 0; b < block; b++)
            decay->after[b] = fs_matrix_product(decay->since[first], decay->after[b]);
        decay->after[block] = fs_identity;
    }
    decay->since[decay->now] = fs_identity;
}

/* What steps s to now - 1 do. */
FS_INLINE fs_matrix fs_decay_from(const fs_decay *decay, ptrdiff_t s)
{
    const ptrdiff_t block = s / FS_DECAY_BLOCK, now_block = decay->now / FS_DECAY_BLOCK;
    if (block == now_block)
        return decay->since[s];
    return fs_matrix_product(decay->since[now_block * FS_DECAY_BLOCK],
                             fs_matrix_product(decay->after[block], decay->since[s]));
}

#endif
