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
static inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
static inline Vec minimum(Vec a, Vec b) { return a < b ? a : b; }

template <int... I>
struct Lanes {};
template <int N, int... I>
struct LanesTo : LanesTo<N - 1, N - 1, I...> {};
template <int... I>
struct LanesTo<0, I...> {
  typedef Lanes<I...> type;
};

template <int FIRST, int... I>
static inline Vec lanes_from(Vec a, Vec b, Lanes<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (FIRST + I)...);
#else
  return __builtin_shuffle(a, b, IntVec{(FIRST + I)...});
#endif
}

// WIDTH of the 2 * WIDTH neighbours (a, b), from FIRST on.
template <int FIRST>
static inline Vec lanes_from(Vec a, Vec b) {
  return lanes_from<FIRST>(a, b, typename LanesTo<WIDTH>::type());
}

static inline Vec square_root(Vec x) {
  Vec y;
  for (int i = 0; i < WIDTH; i++) y[i] = __builtin_sqrtf(x[i]);
  return y;
}

static inline float total(Vec x) {
  float sum = 0;
  for (int i = 0; i < WIDTH; i++) sum += x[i];
  return sum;
}

}  // namespace imse::ISA
