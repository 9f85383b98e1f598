# What this CPU and this build can do. Built with baseline flags alone, so that it can be imported
# anywhere; computes nothing. Called by kernels/__init__.py.

cdef extern from *:
    """
    #if defined(__x86_64__)
    static int fs_has_avx2(void) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int fs_has_avx512(void) {  /* these also ask whether the system saves the registers */
        return fs_has_avx2() && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl");
    }
    #else
    static int fs_has_avx2(void) { return 0; }
    static int fs_has_avx512(void) { return 0; }
    #endif
    """
    bint fs_has_avx2()
    bint fs_has_avx512()


def supported():
    """Names of the instruction sets that this CPU can run, slowest first."""
    names = ["baseline"]
    if fs_has_avx2():
        names.append("avx2")
    if fs_has_avx512():
        names.append("avx512")
    return names
