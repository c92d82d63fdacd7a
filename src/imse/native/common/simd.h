// Vectors of floats in the width of the instruction set that a file is compiled for.
//
// GCC's and Clang's vector extensions: the same code becomes AVX-512, AVX2, SSE2 or NEON. Maps are planes of rows along
// frequency, so everything here works on neighbouring bins at once and nothing ever has to be shuffled.
//
// A file that uses this is compiled once for each instruction set, with ISA set to its name. All that depends on the
// instruction set is in a namespace of that name, so that the linker never takes one for the other.
#pragma once

#ifndef ISA
#error "ISA must name the instruction set, see build.py"
#endif

// In front of a loop over an array of vectors: the compiler keeps the array in registers only if it unrolls the loop
// early, otherwise in memory.
#if defined(__clang__)
#define IMSE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define IMSE_UNROLL _Pragma("GCC unroll 64")
#endif

#if defined(__SSE__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC's own header, GCC's bug 105593
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

namespace imse::ISA {

#if defined(__AVX512F__)
constexpr int WIDTH = 16;  // floats in a vector
constexpr int TALL = 8;    // rows of a tile of a matrix product ...
constexpr int WIDE = 2;    // ... and its vectors: TALL * WIDE sums and their operands have to fit in the registers
#elif defined(__AVX__)
constexpr int WIDTH = 8;
constexpr int TALL = 4;
constexpr int WIDE = 2;
#elif defined(__aarch64__)
constexpr int WIDTH = 4;
constexpr int TALL = 8;
constexpr int WIDE = 2;
#else
constexpr int WIDTH = 4;
constexpr int TALL = 4;
constexpr int WIDE = 2;
#endif

typedef float Vec __attribute__((vector_size(4 * WIDTH)));
typedef float LooseVec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int IntVec __attribute__((vector_size(4 * WIDTH)));

static inline Vec load(const float* from) { return *reinterpret_cast<const LooseVec*>(from); }
static inline void store(float* to, Vec x) { *reinterpret_cast<LooseVec*>(to) = x; }
static inline Vec splat(float x) { return x - Vec{}; }
static inline Vec select(IntVec chosen, Vec yes, Vec no) { return chosen ? yes : no; }

// On x86 a comparison and a selection stay two instructions, and a division takes a fifth of the time of a GELU:
// there are instructions for both. All give the same but for the last bits.
#if defined(__AVX512F__)
// With a mask that leaves nothing out: GCC 12 warns of an undefined value in the plain functions (its bug 105593).
constexpr __mmask16 ALL = 0xFFFF;
static inline Vec maximum(Vec a, Vec b) { return _mm512_maskz_max_ps(ALL, a, b); }
static inline Vec minimum(Vec a, Vec b) { return _mm512_maskz_min_ps(ALL, a, b); }
#elif defined(__AVX__)
static inline Vec maximum(Vec a, Vec b) { return _mm256_max_ps(a, b); }
static inline Vec minimum(Vec a, Vec b) { return _mm256_min_ps(a, b); }
#elif defined(__SSE__)
static inline Vec maximum(Vec a, Vec b) { return _mm_max_ps(a, b); }
static inline Vec minimum(Vec a, Vec b) { return _mm_min_ps(a, b); }
#else
static inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
static inline Vec minimum(Vec a, Vec b) { return a < b ? a : b; }
#endif

// 1 / x, for x neither 0 nor infinite, to one unit in the last place.
static inline Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
  const Vec guess = _mm512_maskz_rcp14_ps(ALL, x);
  return guess + guess * (1.0f - x * guess);
#else
  return 1.0f / x;
#endif
}

template <int... I>
struct Lanes {};
template <int N, int... I>
struct LanesTo : LanesTo<N - 1, N - 1, I...> {};
template <int... I>
struct LanesTo<0, I...> {
  typedef Lanes<I...> type;
};

// Lanes STEP * i + FIRST of the 2 * WIDTH of (a, b).
template <int FIRST, int STEP, int... I>
static inline Vec lanes(Vec a, Vec b, Lanes<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (STEP * I + FIRST)...);
#else
  return __builtin_shuffle(a, b, IntVec{(STEP * I + FIRST)...});
#endif
}

// WIDTH of the 2 * WIDTH neighbours (a, b), from FIRST on.
template <int FIRST>
static inline Vec lanes_from(Vec a, Vec b) {
  return lanes<FIRST, 1>(a, b, typename LanesTo<WIDTH>::type());
}

static inline Vec square_root(Vec x) {
  Vec y;
  for (int i = 0; i < WIDTH; i++) y[i] = __builtin_sqrtf(x[i]);
  return y;
}

// Sums of neighbours: those of a, then those of b.
static inline Vec pairwise_sums(Vec a, Vec b) {
  typedef typename LanesTo<WIDTH>::type All;
  return lanes<0, 2>(a, b, All()) + lanes<1, 2>(a, b, All());
}

static inline float total(Vec x) {
  for (int left = WIDTH; left > 1; left /= 2) x = pairwise_sums(x, x);
  return x[0];
}

// The totals of WIDTH vectors, which are overwritten.
template <int COUNT = WIDTH>
static inline Vec totals(Vec* x) {
  if constexpr (COUNT == 1) {
    return x[0];
  } else {
    IMSE_UNROLL for (int i = 0; i < COUNT / 2; i++) x[i] = pairwise_sums(x[2 * i], x[2 * i + 1]);
    return totals<COUNT / 2>(x);
  }
}

}  // namespace imse::ISA
