// Vectors of floats in the width of the instruction set that a file is compiled for.
//
// GCC's and Clang's vector extensions: the same code becomes AVX-512, AVX2, SSE2 or NEON. Maps are planes of rows along
// frequency, so everything here works on neighbouring bins at once and nothing ever has to be shuffled.
//
// Included once for each instruction set, inside a namespace of its own, hence no include guard and no includes.

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

// Coefficients from the constant one up.
template <int N>
static inline Vec polynomial(Vec x, const float (&coefficients)[N]) {
  Vec sum = splat(coefficients[N - 1]);
  for (int i = N - 2; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}

// e^x to about 2 units in the last place, for x up to 88; 0 below -87.
static inline Vec exponential(Vec x) {
  const Vec clamped = minimum(maximum(x, splat(-87.0f)), splat(88.0f));
  // x = n ln 2 + r with |r| <= ln(2) / 2: adding 1.5 * 2^23 rounds to an integer, which then is in the low bits.
  const Vec shifted = clamped * 1.44269504f + 12582912.0f;
  const Vec n = shifted - 12582912.0f;
  const Vec r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  const Vec p = polynomial(r, {1.0f, 1.0f, 0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040});
  IntVec bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - 0x4B400000 + 127) << 23;
  Vec power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

// The error function to about 3e-7: x P(x^2) / Q(x^2), fitted by us to least relative error on [0, 3.9], beyond which
// it is 1 to that accuracy.
static inline Vec error_function(Vec x) {
  x = minimum(maximum(x, splat(-3.9f)), splat(3.9f));
  const Vec u = x * x;
  const Vec p = polynomial(u, {1.1283791065216064f, 1.8966801464557648e-01f, 5.266823992133141e-02f,
                               3.7383961025625467e-03f, 2.850631717592478e-04f, 2.0664624571509194e-06f});
  const Vec q = polynomial(u, {1.0f, 5.014216899871826e-01f, 1.1381944268941879e-01f, 1.4914377592504025e-02f,
                               1.1573879746720195e-03f, 3.826996180578135e-05f});
  return x * p / q;
}

// ELU(x) + 1, MALA's feature map: x + 1 above 0, e^x below.
static inline Vec elu_plus_one(Vec x) { return x > 0.0f ? x + 1.0f : exponential(x); }

static inline Vec gelu(Vec x) { return 0.5f * x * (1.0f + error_function(x * 0.70710678f)); }
