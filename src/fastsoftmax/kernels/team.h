/* A barrier, a shared counter and a clock for a team of OpenMP threads, and what OpenMP says of it.
 *
 * A minibatch takes some ten microseconds, so waiting threads spin; they give the core away after
 * a while, so that a team larger than the machine still gets on. Without OpenMP a team is one
 * thread and nothing waits. Knows nothing of what the threads do; declared in team.pxd. Not called
 * threads.h, as C11 has a header of that name.
 */
#ifndef FS_TEAM_H
#define FS_TEAM_H

#include <sched.h>
#include <stddef.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
static inline int fs_thread_number(void) { return omp_get_thread_num(); }
static inline int fs_team_size(void) { return omp_get_num_threads(); }
#else
static inline int fs_thread_number(void) { return 0; }
static inline int fs_team_size(void) { return 1; }
#endif

/* Add n to a counter that threads share; gives what it was. */
static inline ptrdiff_t fs_take(ptrdiff_t *counter, ptrdiff_t n)
{
    return __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Seconds on a clock that only goes forward. */
static inline double fs_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sets a flag that several threads may set. */
static inline void fs_raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

/* Spins before the core is given away: about 20 µs, longer than threads of equal work differ. */
#define FS_SPINS 2000

typedef struct {
    int waiting;
    char apart[60]; /* the counter and what the threads watch lie on two cache lines */
    int round;
} fs_barrier;

static inline void fs_barrier_init(fs_barrier *barrier)
{
    barrier->waiting = 0;
    barrier->round = 0;
}

static inline void fs_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Returns once all n_threads have called it; what they wrote before is then seen by all. */
static inline void fs_barrier_wait(fs_barrier *barrier, int n_threads)
{
    if (n_threads == 1)
        return;
    const int round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->waiting, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(&barrier->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++) {
        if (spins < FS_SPINS)
            fs_pause();
        else
            sched_yield();
    }
}

/* Where each thread of a team runs, for fs_spread. */
#define FS_MOST_THREADS 256
typedef struct {
    int core[FS_MOST_THREADS];
} fs_cores;

/* Called by every thread of a team at its start: threads that woke up on the core of another one
 * move to a free one. The scheduler would let them share it for milliseconds, and threads that wait
 * for each other get nothing done there. A thread's set of allowed cores is as before at return. */
static inline void fs_spread(fs_cores *cores, fs_barrier *barrier, int thread, int n_threads)
{
#if defined(__linux__) && defined(_GNU_SOURCE) /* Python.h defines it */
    if (n_threads > FS_MOST_THREADS)
        return;
    cores->core[thread] = sched_getcpu();
    fs_barrier_wait(barrier, n_threads);
    int is_shared = 0;
    for (int other = 0; other < thread; other++)
        is_shared |= cores->core[other] == cores->core[thread];
    cpu_set_t allowed, free_ones;
    if (is_shared && sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        free_ones = allowed;
        for (int other = 0; other < n_threads; other++)
            if (cores->core[other] >= 0 && cores->core[other] < CPU_SETSIZE)
                CPU_CLR((size_t)cores->core[other], &free_ones);
        if (CPU_COUNT(&free_ones) > 0 && sched_setaffinity(0, sizeof free_ones, &free_ones) == 0)
            sched_setaffinity(0, sizeof allowed, &allowed);
    }
#else
    (void)cores, (void)barrier, (void)thread, (void)n_threads;
#endif
}

#endif
