/* The end of what simd.h, vector.h and short_rows.h define for float or for double.
 *
 * Included by simd.h, twice, after all that is made of it.
 */
#undef VEC
#undef IVEC
#undef LANES
#undef PIECE
#undef REAL
#undef ITEM
#undef INT
#undef FS_
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUND_MAGIC
#undef LOG2_E
#undef LN2_HI
#undef LN2_LO
#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef SHIFT_LIMIT
#undef SQRT_HALF_BITS
#undef EXP_TERMS
#undef LOG_TERMS
