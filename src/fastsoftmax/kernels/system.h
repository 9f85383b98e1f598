/* What the pool needs of the system: threads, and sleep until a number in memory changes.
 *
 * POSIX threads, and Windows' own; on Linux a futex sleeps, on Windows WaitOnAddress, which means
 * the same, and elsewhere one condition variable. Included by pool.c alone.
 */
#ifndef FS_SYSTEM_H
#define FS_SYSTEM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#if defined(_WIN32)
#include <process.h>
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#endif
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static inline void fs_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* --- Sleep -------------------------------------------------------------------------------------- */

#if defined(__linux__)
/* Sleep while *word is `value`; may also end for no reason. */
static inline void fs_sleep_on(int *word, int value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

/* Wake all who sleep on a word that has just been changed. */
static inline void fs_wake(int *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#elif defined(_WIN32)
static inline void fs_sleep_on(int *word, int value)
{
    WaitOnAddress(word, &value, sizeof value, INFINITE);
}

static inline void fs_wake(int *word) { WakeByAddressAll(word); }
#else
static pthread_mutex_t fs_bed_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fs_bed = PTHREAD_COND_INITIALIZER;

static inline void fs_sleep_on(int *word, int value)
{
    pthread_mutex_lock(&fs_bed_lock);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
        pthread_cond_wait(&fs_bed, &fs_bed_lock);
    pthread_mutex_unlock(&fs_bed_lock);
}

static inline void fs_wake(int *word)
{
    (void)word;
    pthread_mutex_lock(&fs_bed_lock);
    pthread_cond_broadcast(&fs_bed);
    pthread_mutex_unlock(&fs_bed_lock);
}
#endif

/* --- Threads ------------------------------------------------------------------------------------ */

#if defined(_WIN32)
typedef HANDLE fs_thread;
#define FS_THREAD_RESULT unsigned __stdcall /* of what a thread does, which returns 0 */
#else
typedef pthread_t fs_thread;
#define FS_THREAD_RESULT void *
#endif

/* Start a thread that gets no signals, which are for the program's own. 0, or an error's number. */
static inline int fs_start(fs_thread *thread, FS_THREAD_RESULT (*live)(void *), void *argument)
{
#if defined(_WIN32)
    const uintptr_t started = _beginthreadex(NULL, 0, live, argument, 0, NULL);
    *thread = (HANDLE)started;
    return started == 0 ? errno : 0;
#else
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, live, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
#endif
}

static inline void fs_join(fs_thread thread)
{
#if defined(_WIN32)
    WaitForSingleObject(thread, INFINITE);
#else
    pthread_join(thread, NULL);
#endif
}

/* Have `forget` called in a forked child, and `end` at exit. Windows does not fork, and has ended
 * all threads but one by the time a library hears of the exit. */
static inline void fs_watch_process(void (*forget)(void), void (*end)(void))
{
#if defined(_WIN32)
    (void)forget, (void)end;
#else
    pthread_atfork(NULL, NULL, forget);
    atexit(end);
#endif
}

/* In a forked child: nobody sleeps, and nobody holds a lock. */
static inline void fs_forget_sleepers(void)
{
#if !defined(__linux__) && !defined(_WIN32)
    pthread_mutex_init(&fs_bed_lock, NULL);
    pthread_cond_init(&fs_bed, NULL);
#endif
}

/* Name the calling thread, as `top -H` shows it. */
static inline void fs_name_thread(int number)
{
    char name[32];
    snprintf(name, sizeof name, "fastsoftmax-%d", number % 1000);  /* Linux takes 15 characters */
#if defined(__APPLE__)
    pthread_setname_np(name);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#else
    (void)name;
#endif
}

/* --- Cores -------------------------------------------------------------------------------------- */

/* The core that the calling thread is on; -1 where that isn't asked. */
static inline int fs_core(void)
{
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

/* Move the calling thread to a core that is none of these, if it may use one. Its set of allowed
 * cores is as before at return. */
static inline void fs_leave_cores(const int *cores, int n)
{
#if defined(__linux__)
    cpu_set_t allowed, free_ones;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    free_ones = allowed;
    for (int i = 0; i < n; i++) {
        const int core = __atomic_load_n(&cores[i], __ATOMIC_RELAXED);
        if (core >= 0 && core < CPU_SETSIZE)
            CPU_CLR((size_t)core, &free_ones);
    }
    if (CPU_COUNT(&free_ones) > 0 && sched_setaffinity(0, sizeof free_ones, &free_ones) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
#else
    (void)cores, (void)n;
#endif
}

#endif
