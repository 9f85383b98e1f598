/* A counter and a flag that threads share; clock.h has a clock.
 *
 * Who they are, how they come together and wait for each other is in pool.h. Declared in team.pxd.
 */
#ifndef FS_TEAM_H
#define FS_TEAM_H

#include <stddef.h>

#include "clock.h"

/* Add n to a counter that threads share; gives what it was. */
static inline ptrdiff_t fs_take(ptrdiff_t *counter, ptrdiff_t n)
{
    return __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Sets a flag that several threads may set. */
static inline void fs_raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

static inline int fs_is_raised(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED); }

#endif
