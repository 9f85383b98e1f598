/* One optimiser step on a vector of parameters, for any vector type: STEP_(name), V, N_LANES.
 *
 * Included by vector.h for whole vectors and by sparse_rows.h for rows that are narrower than one.
 */

/* `gradient` is the loss's, without the penalty. */
FS_INLINE void STEP_(step)(V gradient, REAL *parameter, REAL *state, REAL learning_rate,
                           REAL momentum, REAL alpha, int update)
{
    V p = STEP_(load)(parameter);
    gradient += p * alpha;
    if (update == FS_SGD) {
        p -= gradient * learning_rate;
    } else if (update == FS_ADAGRAD) {
        V squares = STEP_(load)(state) + gradient * gradient, root = squares;
        for (int l = 0; l < N_LANES; l++)
            root[l] = ITEM == 4 ? (REAL)sqrtf((float)squares[l]) : (REAL)sqrt((double)squares[l]);
        STEP_(store)(state, squares);
        p -= gradient * learning_rate / (root + (REAL)FS_ADAGRAD_EPSILON);
    } else {
        V velocity = STEP_(load)(state) * momentum + gradient * learning_rate;
        STEP_(store)(state, velocity);
        p -= update == FS_NESTEROV ? velocity * momentum + gradient * learning_rate : velocity;
    }
    STEP_(store)(parameter, p);
}
