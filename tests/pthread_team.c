/* What the kernels need of libgomp, by pthreads: a team is started, works, and is waited for.
 *
 * ThreadSanitizer knows pthreads, but sees nothing of what libgomp does, and would call all that a
 * team writes and its starter reads a race. setup.py links this into each module, in the place of
 * libgomp, where FASTSOFTMAX_SANITIZE=thread. It is slow, as threads are made anew for every team,
 * and knows neither teams within teams nor OMP_NUM_THREADS: for nothing but tests.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))  /* libgomp may be in the process as well */

struct member {
    void (*work)(void *);
    void *argument;
    int number, n_threads;
    pthread_t thread;
};

static __thread int number = 0, n_threads_of_team = 1;

static void *take_part(void *argument)
{
    const struct member *member = argument;
    number = member->number;
    n_threads_of_team = member->n_threads;
    member->work(member->argument);
    return NULL;
}

HIDDEN void GOMP_parallel(void (*work)(void *), void *argument, unsigned n_threads, unsigned flags)
{
    (void)flags;
    struct member *team = calloc(n_threads, sizeof *team);
    if (team == NULL)
        abort();
    for (unsigned i = 0; i < n_threads; i++) {
        team[i] = (struct member){work, argument, (int)i, (int)n_threads, 0};
        if (i > 0 && pthread_create(&team[i].thread, NULL, take_part, &team[i]) != 0)
            abort();
    }
    take_part(&team[0]);
    number = 0;
    n_threads_of_team = 1;
    for (unsigned i = 1; i < n_threads; i++)
        pthread_join(team[i].thread, NULL);
    free(team);
}

HIDDEN int omp_get_thread_num(void) { return number; }
HIDDEN int omp_get_num_threads(void) { return n_threads_of_team; }
HIDDEN int omp_get_max_threads(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
