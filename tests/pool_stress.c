/* The pool under stress: small calls of all sizes from several threads at once, teams that grow and
 * are broken up, forks, and an exit in mid-call.
 *
 *     pool_stress N_CALLS SEED
 *
 * Compiled with pool.c, by tests/test_pool.py as it is and by tests/sanitize.py under
 * ThreadSanitizer. Ends with 0 unless something was done twice, not at all, or seen too early; the
 * exit comes while callers are at work.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

#define CALLERS 3
#define MOST_THREADS 6
#define MOST_SHARES 20
#define FORKS 20

static const char type_of_all = 't';
static long n_left, n_failed;
static unsigned first_seed;

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        __atomic_fetch_add(&n_failed, 1, __ATOMIC_RELAXED);
    }
}

/* --- Shares: each is done once, and a thread does one after the other. */

struct sums {
    int done[MOST_SHARES];
    int is_busy[MOST_THREADS];
};

static void add(void *context, const void *type, ptrdiff_t share, int thread)
{
    struct sums *sums = context;
    check(type == &type_of_all, "another type");
    check(!sums->is_busy[thread], "a thread in two shares at once");
    sums->is_busy[thread] = 1;
    sums->done[share]++;
    sums->is_busy[thread] = 0;
}

static void share_out(unsigned *seed)
{
    struct sums sums = {{0}, {0}};
    const int n_threads = 1 + (int)(next_random(seed) % MOST_THREADS);
    const int n_shares = (int)(next_random(seed) % (MOST_SHARES + 1));
    fs_share_out(n_threads, n_shares, add, &sums, &type_of_all);
    for (int i = 0; i < MOST_SHARES; i++)
        check(sums.done[i] == (i < n_shares), "a share was done twice or not at all");
}

/* --- A team: after each meeting all see what all wrote, however many they were. */

struct loop {
    fs_team team;
    int part, n_parts, breaks_at;  /* where the next who come in begin */
    int written[MOST_SHARES];
};

static void go_through(struct loop *loop, int part, int thread, int n_threads)
{
    while (part < loop->n_parts) {
        for (int i = MOST_SHARES * thread / n_threads; i < MOST_SHARES * (thread + 1) / n_threads;
             i++)
            loop->written[i] = part;
        fs_team_meet(&loop->team, n_threads);
        for (int i = 0; i < MOST_SHARES; i++)
            check(loop->written[i] == part, "not all was there after a meeting");
        if (thread == 0)
            fs_team_plan(&loop->team, part == loop->breaks_at ? 0 : fs_team_at_hand(&loop->team), 0);
        fs_team_meet(&loop->team, n_threads);
        const int planned = fs_team_planned(&loop->team, 0);
        part++;
        if (thread == 0)
            loop->part = part;
        if (planned < n_threads)
            return;
        if (planned > n_threads && thread == 0)
            fs_team_let_in(&loop->team, planned);
        n_threads = planned;
    }
}

static void take_part(void *context, const void *type, int thread)
{
    struct loop *loop = context;
    int n_threads;
    (void)type;
    if (thread == 0) {
        go_through(loop, loop->part, 0, 1);
        fs_team_close(&loop->team);
    } else if ((thread = fs_team_join(&loop->team, &n_threads)) > 0) {
        check(thread < n_threads, "let in too early");
        go_through(loop, loop->part, thread, n_threads);
    }
}

static void lead(unsigned *seed)
{
    const int n_threads = 1 + (int)(next_random(seed) % MOST_THREADS);
    struct loop loop = {.n_parts = (int)(next_random(seed) % 30)};
    loop.breaks_at = (int)(next_random(seed) % 40);
    while (loop.part < loop.n_parts) {
        fs_team_open(&loop.team);
        fs_lead(n_threads, take_part, &loop, &type_of_all);
    }
}

/* --- All of it */

static void *call(void *argument)
{
    unsigned seed = first_seed + (unsigned)(size_t)argument;
    while (__atomic_fetch_sub(&n_left, 1, __ATOMIC_RELAXED) > 0) {
        if (next_random(&seed) % 8)
            share_out(&seed);
        else
            lead(&seed);
        if (next_random(&seed) % 64 == 0)
            fs_set_patience(next_random(&seed) % 4 ? 1e9 : -1e-3);
    }
    return NULL;
}

static void fork_once(unsigned seed)
{
    const pid_t child = fork();
    if (child == 0) {
        n_failed = 0;
        fs_set_patience(1e9);
        for (int i = 0; i < 50; i++) {
            share_out(&seed);
            lead(&seed);
        }
        _exit(n_failed > 0);
    }
    int status = 1;
    check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child has failed");
}

int main(int n_arguments, char **arguments)
{
    pthread_t callers[CALLERS];
    const long n = n_arguments > 1 ? atol(arguments[1]) : 10000;
    first_seed = n_arguments > 2 ? (unsigned)atol(arguments[2]) : 1;
    n_left = n;
    fs_set_patience(1e9);
    for (size_t i = 0; i < CALLERS; i++)
        pthread_create(&callers[i], NULL, call, (void *)i);
    for (unsigned i = 0; i < FORKS; i++) {
        fork_once(first_seed + i);
        usleep(1000);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    const fs_pool_counts counts = fs_pool_count();
    printf("%ld calls, %ld threads came, %ld in the pool\n", counts.calls, counts.came,
           counts.workers);
    check(counts.came > 0, "nobody ever came");
    n_left = 1000000000;  /* and now an exit while callers are at work */
    for (size_t i = 0; i < CALLERS; i++)
        pthread_create(&callers[i], NULL, call, (void *)i);
    usleep(20000);
    fflush(stdout);
    exit(__atomic_load_n(&n_failed, __ATOMIC_RELAXED) > 0);
}
