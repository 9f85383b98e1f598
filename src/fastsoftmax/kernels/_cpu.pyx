# What this CPU and this build can do. Built with baseline flags alone, so that it can be imported
# anywhere; computes nothing. Called by kernels/__init__.py. setup.py says by FS_BUILD_AVX2 that
# there are builds to choose from. The CPU is asked by hand: the compilers' __builtin_cpu_supports
# needs a part of their run-time library that not all of them link.

cdef extern from *:
    """
    #if defined(FS_BUILD_AVX2) && defined(__x86_64__)
    #include <cpuid.h>

    /* Whether the CPU has all these bits of a register of leaf 1 (ecx) or of leaf 7 (ebx). */
    static int fs_has(unsigned leaf, unsigned bits) {
        unsigned eax, ebx, ecx, edx;
        if (!__get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx))
            return 0;
        return ((leaf == 1 ? ecx : ebx) & bits) == bits;
    }

    /* Whether the system saves these registers: their bits in XCR0. */
    static int fs_saves(unsigned bits) {
        unsigned low, high;
        if (!fs_has(1, bit_OSXSAVE))
            return 0;
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return (low & bits) == bits;
    }

    static int fs_has_avx2(void) {
        return fs_saves(0x6) && fs_has(1, bit_AVX | bit_FMA | bit_F16C) && fs_has(7, bit_AVX2);
    }
    static int fs_has_avx512(void) {
        return fs_has_avx2() && fs_saves(0xe6)
            && fs_has(7, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
    }
    #else
    static int fs_has_avx2(void) { return 0; }
    static int fs_has_avx512(void) { return 0; }
    #endif
    """
    bint fs_has_avx2()
    bint fs_has_avx512()


def supported():
    """Names of the builds that this CPU can run, slowest first."""
    names = ["baseline"]
    if fs_has_avx2():
        names.append("avx2")
    if fs_has_avx512():
        names.append("avx512")
    return names
