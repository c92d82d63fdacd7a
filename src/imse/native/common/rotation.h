// Rotary embedding, of vectors and of single numbers.
#pragma once

namespace imse {

// Rotate a pair of channels by an angle, given as cosine and sine. Minus the sine rotates back.
template <class Number>
static inline __attribute__((always_inline)) void rotate(Number& even, Number& odd, Number cosine, Number sine) {
  const Number rotated = even * cosine - odd * sine;
  odd = odd * cosine + even * sine;
  even = rotated;
}

}  // namespace imse
