/* The pool: who is free, who is sent for, who sleeps. See pool.h for what it promises.
 *
 * A worker has a state that callers and itself change by compare-and-swap, so that no lock is held
 * by a thread that may lose its core. A free worker is taken by one call, gets its orders, and
 * either begins, or is let go again by a caller that is done before. Workers are never freed.
 */
#include "system.h"

#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>

#include "pool.h"

#define SPIN_SECONDS 5e-5     /* before a thread sleeps: to be woken takes about as long */
#define JOIN_SECONDS 3e-4     /* to be let in: who sleeps by then is waited for by all */
#define SPINS_A_LOOK 64       /* at the clock */
#define MOST_PATIENCE 3e-3    /* what a wait for a core that another program has may take */
#define ENOUGH_PATIENCE 1e-3  /* for a try: a team's first parts are slow, caches being cold */
#define LEAST_PATIENCE -2e-2  /* a machine that stood still says nothing about the next minute */
#define ALLOWED_LOSS 0.02     /* of the time worked */
#define COUNTED_GAIN 0.5
#define MOST_CORES 64         /* of a call's threads that are kept apart */

/* A caller takes a worker that is free, calls it, and frees it in the end: what else is in a worker
 * is the caller's meanwhile. The worker itself goes from called to work, and back to taken. */
enum { FREE, TAKEN, CALLED, AT_WORK, ENDED };

struct call {
    fs_work work;
    void *context;
    const void *type;
    fenv_t environment;  /* rounding, denormals: the caller's hold for all */
    int64_t gained;      /* nanoseconds that workers have worked */
    int cores[MOST_CORES];
    int is_judged;
};

struct worker {
    int state;
    int n_asleep;  /* who watch the state */
    char apart[56];
    struct call *call;
    int thread;  /* its number in the call */
    int number;  /* in the pool */
    struct worker *next;      /* of the pool */
    struct worker *next_one;  /* of those that the call has taken */
    fs_thread handle;
};

static struct worker *workers;
static int n_workers;
static int is_registered, has_ended;
static int64_t patience = (int64_t)(MOST_PATIENCE * 1e9);
static int is_resting;  /* after patience was at an end */
static int limit;
static long n_calls, n_came, n_impatient;

/* --- Waiting ------------------------------------------------------------------------------------ */

/* Spin for so long; whether the word has changed. */
static int has_changed(const int *word, int value, double seconds)
{
    double end = 0;
    for (;;) {
        for (int i = 0; i < SPINS_A_LOOK; i++) {
            if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
                return 1;
            fs_pause();
        }
        const double now = fs_seconds();
        if (end == 0)
            end = now + seconds;
        if (now >= end)
            return 0;
    }
}

/* Returns once *word is not `value` any more: asleep, after a while. What was written before the
 * change is then seen. */
static void wait_for_change(int *word, int value, int *n_asleep)
{
    if (has_changed(word, value, SPIN_SECONDS))
        return;
    __atomic_fetch_add(n_asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
        fs_sleep_on(word, value);
    __atomic_fetch_sub(n_asleep, 1, __ATOMIC_RELAXED);
}

/* Whoever is about to sleep has either been counted by now, or sees the change. */
static void wake_sleepers(int *word, int *n_asleep)
{
    if (__atomic_load_n(n_asleep, __ATOMIC_SEQ_CST) > 0)
        fs_wake(word);
}

static void change(int *word, int value, int *n_asleep)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    wake_sleepers(word, n_asleep);
}

/* --- Patience ----------------------------------------------------------------------------------- */

static double patience_now(void)
{
    return 1e-9 * (double)__atomic_load_n(&patience, __ATOMIC_RELAXED);
}

int fs_is_patient(void) { return !__atomic_load_n(&is_resting, __ATOMIC_RELAXED); }

void fs_set_patience(double seconds)
{
    __atomic_store_n(&patience, (int64_t)(seconds * 1e9), __ATOMIC_RELAXED);
    if (seconds <= 0 || seconds >= ENOUGH_PATIENCE)
        __atomic_store_n(&is_resting, seconds <= 0, __ATOMIC_RELAXED);
}

void fs_add_patience(double seconds)
{
    const double now = patience_now();
    if (now > MOST_PATIENCE)
        return;  /* a test has set it */
    const double sum = now + (seconds > 0 ? COUNTED_GAIN * seconds : seconds);
    fs_set_patience(sum > MOST_PATIENCE ? MOST_PATIENCE : sum < LEAST_PATIENCE ? LEAST_PATIENCE
                                                                               : sum);
}

void fs_worked_alone(double seconds)
{
    __atomic_fetch_add(&n_impatient, 1, __ATOMIC_RELAXED);
    fs_add_patience(ALLOWED_LOSS / COUNTED_GAIN * seconds);
}

/* --- A worker ----------------------------------------------------------------------------------- */

/* Threads that woke up on the core of another of the call move to a free one: the scheduler would
 * let them share it for milliseconds. */
static void move_apart(struct call *call, int thread)
{
    if (thread >= MOST_CORES)
        return;
    const int mine = fs_core();
    int is_shared = 0;
    for (int i = 0; i < thread; i++)
        is_shared |= mine >= 0 && __atomic_load_n(&call->cores[i], __ATOMIC_RELAXED) == mine;
    if (is_shared)
        fs_leave_cores(call->cores, MOST_CORES);
    __atomic_store_n(&call->cores[thread], fs_core(), __ATOMIC_RELAXED);
}

static void take_part(struct worker *self)
{
    struct call *call = self->call;
    const double before = call->is_judged ? fs_thread_seconds() : 0;
    __atomic_fetch_add(&n_came, 1, __ATOMIC_RELAXED);
    fesetenv(&call->environment);
    move_apart(call, self->thread);
    call->work(call->context, call->type, self->thread);
    if (call->is_judged)
        __atomic_fetch_add(
            &call->gained, (int64_t)(1e9 * (fs_thread_seconds() - before)),
            __ATOMIC_RELAXED);
}

static FS_THREAD_RESULT live(void *argument)
{
    struct worker *self = argument;
    fs_name_thread(self->number);
    for (;;) {
        int state = CALLED;
        if (__atomic_compare_exchange_n(&self->state, &state, AT_WORK, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_ACQUIRE)) {
            take_part(self);
            change(&self->state, TAKEN, &self->n_asleep);
        } else if (state == ENDED)
            return 0;
        else
            wait_for_change(&self->state, state, &self->n_asleep);
    }
}

/* --- Beginning and end -------------------------------------------------------------------------- */

/* In a forked child the pool is empty: threads do not survive a fork. What they had is lost. */
static void forget(void)
{
    workers = NULL;
    n_workers = 0;
    fs_set_patience(MOST_PATIENCE);
    fs_forget_sleepers();
}

/* At exit: workers that are free end. Those at work belong to calls that the exit has overtaken, and
 * end with the process. */
static void end(void)
{
    __atomic_store_n(&has_ended, 1, __ATOMIC_SEQ_CST);
    struct worker *one = __atomic_load_n(&workers, __ATOMIC_ACQUIRE);
    for (; one != NULL; one = one->next) {
        int state = FREE;
        if (__atomic_compare_exchange_n(&one->state, &state, ENDED, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            wake_sleepers(&one->state, &one->n_asleep);
            fs_join(one->handle);
        }
    }
}

/* A new worker, already taken; NULL where there are `most` or the system grants no more. */
static struct worker *hire(int most)
{
    int number = __atomic_load_n(&n_workers, __ATOMIC_RELAXED);
    do
        if (number >= most)
            return NULL;
    while (!__atomic_compare_exchange_n(&n_workers, &number, number + 1, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
    if (__atomic_exchange_n(&is_registered, 1, __ATOMIC_ACQ_REL) == 0)
        fs_watch_process(forget, end);
    struct worker *one = calloc(1, sizeof *one);
    if (one != NULL) {
        one->state = TAKEN;
        one->number = number + 1;
        if (fs_start(&one->handle, live, one) == 0) {
            one->next = __atomic_load_n(&workers, __ATOMIC_RELAXED);
            while (!__atomic_compare_exchange_n(&workers, &one->next, one, 0, __ATOMIC_RELEASE,
                                                __ATOMIC_RELAXED))
                ;
            return one;
        }
        free(one);
    }
    __atomic_fetch_sub(&n_workers, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* --- A call ------------------------------------------------------------------------------------- */

/* Take so many free workers as there are, at most n, and call them. */
static struct worker *send_for(struct call *call, int n)
{
    struct worker *taken = NULL;
    struct worker *one = __atomic_load_n(&workers, __ATOMIC_ACQUIRE);
    for (int thread = 1; thread <= n; thread++) {
        int state = FREE;
        while (one != NULL
               && !__atomic_compare_exchange_n(&one->state, &state, TAKEN, 0, __ATOMIC_ACQUIRE,
                                               __ATOMIC_RELAXED)) {
            one = one->next;
            state = FREE;
        }
        struct worker *found = one != NULL ? one : hire(n);
        if (found == NULL)
            break;
        one = one != NULL ? one->next : NULL;
        found->call = call;
        found->thread = thread;
        found->next_one = taken;
        taken = found;
        change(&found->state, CALLED, &found->n_asleep);
    }
    return taken;
}

/* Let those go that have not come, and wait for the others. */
static void dismiss(struct worker *taken)
{
    struct worker *next;
    for (struct worker *one = taken; one != NULL; one = next) {
        next = one->next_one;
        int state = CALLED;
        if (!__atomic_compare_exchange_n(&one->state, &state, FREE, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            wait_for_change(&one->state, AT_WORK, &one->n_asleep);
            __atomic_store_n(&one->state, FREE, __ATOMIC_RELEASE);
        }
    }
}

static void run(int n_threads, fs_work work, void *context, const void *type, int is_judged)
{
    if (n_threads <= 1 || __atomic_load_n(&has_ended, __ATOMIC_RELAXED)) {
        work(context, type, 0);
        return;
    }
    struct call call = {.work = work, .context = context, .type = type, .is_judged = is_judged};
    fegetenv(&call.environment);
    for (int i = 1; i < MOST_CORES; i++)
        call.cores[i] = -1;
    call.cores[0] = fs_core();
    __atomic_fetch_add(&n_calls, 1, __ATOMIC_RELAXED);
    struct worker *taken = send_for(&call, n_threads - 1);
    work(context, type, 0);
    const double before = is_judged ? fs_seconds() : 0;
    dismiss(taken);
    if (is_judged)
        fs_add_patience(1e-9 * (double)__atomic_load_n(&call.gained, __ATOMIC_RELAXED)
                        - (fs_seconds() - before));
}

void fs_run(int n_threads, fs_work work, void *context, const void *type)
{
    if (n_threads <= 1 || fs_is_patient()) {
        run(n_threads, work, context, type, n_threads > 1);
        return;
    }
    const double before = fs_seconds();
    work(context, type, 0);
    fs_worked_alone(fs_seconds() - before);
}

void fs_lead(int n_threads, fs_work work, void *context, const void *type)
{
    run(n_threads, work, context, type, 0);
}

struct shares {
    fs_share work;
    void *context;
    ptrdiff_t n, next;
};

static void take_shares(void *context, const void *type, int thread)
{
    struct shares *shares = context;
    ptrdiff_t share;
    while ((share = __atomic_fetch_add(&shares->next, 1, __ATOMIC_RELAXED)) < shares->n)
        shares->work(shares->context, type, share, thread);
}

void fs_share_out(int n_threads, ptrdiff_t n_shares, fs_share work, void *context, const void *type)
{
    struct shares shares = {work, context, n_shares, 0};
    fs_run(n_shares < n_threads ? (int)n_shares : n_threads, take_shares, &shares, type);
}

/* --- A team ------------------------------------------------------------------------------------- */

void fs_team_open(fs_team *team)
{
    *team = (fs_team){.size = 1};
}

int fs_team_join(fs_team *team, int *n_threads)
{
    const int number = __atomic_add_fetch(&team->n_came, 1, __ATOMIC_RELAXED);
    int size;
    while ((size = __atomic_load_n(&team->size, __ATOMIC_ACQUIRE)) <= number && size > 0)
        if (!has_changed(&team->size, size, JOIN_SECONDS))
            wait_for_change(&team->size, size, &team->n_asleep);
    *n_threads = size;
    return size > 0 ? number : 0;
}

int fs_team_at_hand(const fs_team *team)
{
    return 1 + __atomic_load_n(&team->n_came, __ATOMIC_RELAXED);
}

void fs_team_plan(fs_team *team, int n_threads, int turn) { team->planned[turn] = n_threads; }

int fs_team_planned(const fs_team *team, int turn) { return team->planned[turn]; }

void fs_team_meet(fs_team *team, int n_threads)
{
    if (n_threads == 1)
        return;
    const int round = __atomic_load_n(&team->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&team->n_here, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(&team->n_here, 0, __ATOMIC_RELAXED);
        change(&team->round, round + 1, &team->n_asleep);
        return;
    }
    wait_for_change(&team->round, round, &team->n_asleep);
}

void fs_team_let_in(fs_team *team, int n_threads)
{
    change(&team->size, n_threads, &team->n_asleep);
}

void fs_team_close(fs_team *team) { change(&team->size, 0, &team->n_asleep); }

/* --- What others ask ---------------------------------------------------------------------------- */

int fs_pool_limit(void) { return __atomic_load_n(&limit, __ATOMIC_RELAXED); }

void fs_pool_set_limit(int most) { __atomic_store_n(&limit, most, __ATOMIC_RELAXED); }

fs_pool_counts fs_pool_count(void)
{
    return (fs_pool_counts){
        __atomic_load_n(&n_workers, __ATOMIC_RELAXED),
        __atomic_load_n(&n_calls, __ATOMIC_RELAXED),
        __atomic_load_n(&n_came, __ATOMIC_RELAXED),
        __atomic_load_n(&n_impatient, __ATOMIC_RELAXED),
    };
}
