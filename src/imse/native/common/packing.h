// Weights in the order that product.h reads them.
#pragma once

namespace imse {

// Pack a matrix: groups of `tall` outputs, the last ones in groups of half as many, a quarter ..., each [inputs,
// group].
//
// `weight(output, input)` is an element; `packed` has room for outputs * inputs floats.
template <class Weight>
static inline void pack(int tall, int outputs, int inputs, const Weight& weight, float* packed) {
  for (int first = 0, group = tall; first < outputs; first += group) {
    while (group > outputs - first) group /= 2;
    for (int k = 0; k < inputs; k++)
      for (int m = 0; m < group; m++) *packed++ = weight(first + m, k);
  }
}

}  // namespace imse
