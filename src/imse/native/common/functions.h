// Elementary functions and activations of vectors.
#pragma once

#include "simd.h"

namespace imse::ISA {

constexpr float SQRT_HALF = 0.70710678f, INVERSE_SQRT_2PI = 0.39894228f;

// Coefficients from the constant one up.
template <int N>
static inline Vec polynomial(Vec x, const float (&coefficients)[N]) {
  Vec sum = splat(coefficients[N - 1]);
  for (int i = N - 2; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}

// e^x to about 2 units in the last place, for x up to 88; 0 below -87.
static inline Vec exponential(Vec x) {
  constexpr float LOG2_E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;  // LN2 in two parts
  // Adding 1.5 * 2^23 rounds to an integer, which then is in the low bits.
  constexpr float ROUNDER = 12582912.0f;
  constexpr int ROUNDER_BITS = 0x4B400000, EXPONENT_BIAS = 127, MANTISSA_BITS = 23;
  const Vec clamped = minimum(maximum(x, splat(-87.0f)), splat(88.0f));
  // x = n ln 2 + r with |r| <= ln(2) / 2.
  const Vec shifted = clamped * LOG2_E + ROUNDER;
  const Vec n = shifted - ROUNDER;
  const Vec r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
  const Vec p = polynomial(r, {1.0f, 1.0f, 0.5f, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040});
  IntVec bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - ROUNDER_BITS + EXPONENT_BIAS) << MANTISSA_BITS;
  Vec power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return p * power;
}

// The natural logarithm to about 2 units in the last place, of normal numbers above 0.
static inline Vec logarithm(Vec x) {
  constexpr float LN2 = 0.69314718f;
  constexpr int SQRT_HALF_BITS = 0x3F3504F3, MANTISSA_BITS = 23;
  // x = 2^n * m with m between the square roots of 1/2 and 2.
  IntVec bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const IntVec n = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS;
  bits -= n << MANTISSA_BITS;
  Vec m;
  __builtin_memcpy(&m, &bits, sizeof m);
  // ln m = 2 artanh s = s P(s^2), fitted by us to least relative error.
  const Vec s = (m - 1.0f) / (m + 1.0f);
  const Vec p = polynomial(s * s, {2.0f, 0.66666816f, 0.39974795f, 0.29925651f});
  return __builtin_convertvector(n, Vec) * LN2 + s * p;
}

// The angle of (x, y) in radians, between -pi and pi, to about 1e-7; 0 where both are zero. Where y is zero and x below
// it, the angle is pi with the sign of `sides`, which are tiny numbers.
static inline Vec angle(Vec y, Vec x, Vec sides) {
  constexpr float PI = 3.14159265f, TAN_PI_8 = 0.41421356f;
  const Vec width = maximum(x, -x), height = maximum(y, -y);
  const Vec larger = maximum(width, height), smaller = minimum(width, height);
  // The arctangent of a quotient q between 0 and 1; above tan(pi / 8) it is pi / 4 + arctan((q - 1) / (q + 1)).
  const IntVec steep = smaller > TAN_PI_8 * larger;
  const Vec divisor = select(steep, smaller + larger, larger);
  const Vec q = select(steep, smaller - larger, smaller) / select(divisor > 0.0f, divisor, splat(1.0f));
  // arctan q = q P(q^2), fitted by us to least relative error.
  const Vec p = polynomial(q * q, {1.0f, -0.33332799f, 0.19974470f, -0.13852088f, 0.07986736f});
  Vec a = q * p + select(steep, splat(PI / 4), Vec{});
  a = select(height > width, PI / 2 - a, a);
  a = select(x < 0.0f, PI - a, a);
  return select(y + sides < 0.0f, -a, a);
}

// The error function to about 3e-7: x P(x^2) / Q(x^2), fitted by us to least relative error on [0, 3.9], beyond which
// it is 1 to that accuracy.
static inline Vec error_function(Vec x) {
  constexpr float END = 3.9f;
  x = minimum(maximum(x, splat(-END)), splat(END));
  const Vec u = x * x;
  const Vec p = polynomial(u, {1.1283791065216064f, 1.8966801464557648e-01f, 5.266823992133141e-02f,
                               3.7383961025625467e-03f, 2.850631717592478e-04f, 2.0664624571509194e-06f});
  const Vec q = polynomial(u, {1.0f, 5.014216899871826e-01f, 1.1381944268941879e-01f, 1.4914377592504025e-02f,
                               1.1573879746720195e-03f, 3.826996180578135e-05f});
  return x * p * reciprocal(q);
}

// ELU(x) + 1, MALA's feature map: x + 1 above 0, e^x below.
static inline Vec elu_plus_one(Vec x) { return x > 0.0f ? x + 1.0f : exponential(x); }

// The standard normal distribution's probability up to x: GELU(x) = x * normal_probability(x).
static inline Vec normal_probability(Vec x) { return 0.5f * (1.0f + error_function(x * SQRT_HALF)); }

// Its density, the derivative of `normal_probability`.
static inline Vec normal_density(Vec x) { return INVERSE_SQRT_2PI * exponential(-0.5f * x * x); }

static inline Vec gelu(Vec x) { return x * normal_probability(x); }

}  // namespace imse::ISA
