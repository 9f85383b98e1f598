/* Two clocks, on every system. Included by team.h and system.h. */
#ifndef FS_CLOCK_H
#define FS_CLOCK_H

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <time.h>
#endif

#if defined(_WIN32)
/* Seconds on a clock that only goes forward. */
static inline double fs_seconds(void)
{
    LARGE_INTEGER ticks, a_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&a_second);
    return (double)ticks.QuadPart / (double)a_second.QuadPart;
}

/* Seconds that the calling thread has computed. Windows counts them in steps of its scheduler, some
 * milliseconds, and adds up right. */
static inline double fs_thread_seconds(void)
{
    FILETIME begun, ended, in_system, in_program;
    GetThreadTimes(GetCurrentThread(), &begun, &ended, &in_system, &in_program);
    const double high = (double)in_system.dwHighDateTime + (double)in_program.dwHighDateTime;
    const double low = (double)in_system.dwLowDateTime + (double)in_program.dwLowDateTime;
    return 1e-7 * (4294967296.0 * high + low);
}
#else
static inline double fs_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double fs_seconds(void) { return fs_clock(CLOCK_MONOTONIC); }

static inline double fs_thread_seconds(void) { return fs_clock(CLOCK_THREAD_CPUTIME_ID); }
#endif

#endif
