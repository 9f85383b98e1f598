/* A pool of threads for all builds of the kernels, and what threads need to work together.
 *
 * A call is made by one thread, which works in it as thread 0 from its first instruction on. Workers
 * that are free are sent for, come when the system lets them, and take part from then on. Nobody
 * waits for a worker that has not come; what has to be waited for is only the end of what one has
 * begun. So work is cut in shares that don't depend on who takes them. A call that finds no free
 * worker is made by its thread alone. Any number of threads may call at once.
 *
 * Knows nothing of Python, and of what is computed. Compiled once, into _pool, and reached from the
 * builds through _pool.pxd: there is one pool in a process. What it needs of the system is in
 * system.h.
 */
#ifndef FS_POOL_H
#define FS_POOL_H

#include <stddef.h>

/* Work of one thread, numbered from 0, and of one share. `type` is handed on and never read: its
 * type tells the kernels which float to compute in. */
typedef void (*fs_work)(void *context, const void *type, int thread);
typedef void (*fs_share)(void *context, const void *type, ptrdiff_t share, int thread);

/* Call work(context, type, thread) with thread 0 here, and at most once with each of 1 to
 * n_threads − 1 elsewhere, from the time on when a worker has come; those that have not come when
 * thread 0 is done are not waited for. Returns when all are done. While patience is at an end, thread
 * 0 works alone. */
void fs_run(int n_threads, fs_work work, void *context, const void *type);

/* The same for a loop in which a team meets; it has to look after patience itself. */
void fs_lead(int n_threads, fs_work work, void *context, const void *type);

/* Call work(context, type, share, thread) once for each of n_shares, in any order; calls with the
 * same thread follow each other. */
void fs_share_out(int n_threads, ptrdiff_t n_shares, fs_share work, void *context,
                  const void *type);

/* Patience: the seconds that teams may still lose, by waiting for a thread that another program
 * has taken the core of. It grows with the work done, by a fiftieth of its time, and by half of what
 * teams gain, up to a few milliseconds. Once there is none left, threads work alone until there is
 * enough of it for another try; so however busy the machine is, little more than a fiftieth is lost.
 * The whole process has one. */
int fs_is_patient(void);
void fs_add_patience(double seconds);
void fs_worked_alone(double seconds);  /* by a call that would have liked a team */
void fs_set_patience(double seconds);  /* for tests: 1e9 stays */

/* A team meets after each part of a loop: everybody waits for everybody. Thread 0 leads. */
typedef struct {
    int n_here;
    int n_asleep;
    char apart[56];  /* what is counted, and what is watched, lie on two cache lines */
    int round;
    int size;  /* members, those numbered below it */
    int n_came;
    int planned[2];
} fs_team;

void fs_team_open(fs_team *team);
/* By a worker: wait to be let in. Its number from 1 on, and how many they are; or 0 where the loop is
 * over. */
int fs_team_join(fs_team *team, int *n_threads);
/* By the leader, before it meets: how many are to go on after it. `turn` alternates where parts
 * have one meeting, so that the next plan is not written while this one is read. */
void fs_team_plan(fs_team *team, int n_threads, int turn);
int fs_team_planned(const fs_team *team, int turn);
/* How many could go on: members and those who wait to be let in. */
int fs_team_at_hand(const fs_team *team);
/* Returns once n_threads have called it; what they wrote before is then seen by all. */
void fs_team_meet(fs_team *team, int n_threads);
/* By the leader, after the meeting: let in those numbered below n_threads. */
void fs_team_let_in(fs_team *team, int n_threads);
/* By the leader, at the end: who waits to be let in goes. */
void fs_team_close(fs_team *team);

/* Threads that a call gets by default at most; 0: no limit. Kept here for all of the process. The
 * two are found by name, which is how threadpoolctl tells whose library it has (threads.py); a
 * library of Windows gives the names that it is told to give. */
#if defined(_WIN32)
#define FS_FOUND_BY_NAME __declspec(dllexport)
#else
#define FS_FOUND_BY_NAME __attribute__((visibility("default")))
#endif
FS_FOUND_BY_NAME int fs_pool_limit(void);
FS_FOUND_BY_NAME void fs_pool_set_limit(int limit);

/* What has happened so far: threads in the pool, calls that sent for workers, workers that came,
 * calls that were made alone for want of patience. */
typedef struct {
    long workers, calls, came, impatient;
} fs_pool_counts;
fs_pool_counts fs_pool_count(void);

#endif
