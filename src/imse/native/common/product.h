// Matrix products over rows: output row m = sum over k of weight[m, k] * input row k.
//
// A 1x1 convolution is one product over the rows of its channels. Any other convolution is the same product over more
// rows: each tap of each channel is a row that starts some bins further left or right, or some frames earlier or later.
// So one function does all of them, and a concatenation of maps is a list of rows.
//
// Weights are packed in groups of TALL outputs, see packing.h.
#pragma once

#include "simd.h"

namespace imse::ISA {

template <int HEIGHT, int COLUMNS, class Sink>
static inline __attribute__((always_inline)) void product_tile(const float* const* rows, int inputs, int at,
                                                               const float* weights, const Sink& sink) {
  constexpr int SUMS = HEIGHT * COLUMNS;
  Vec sums[SUMS];
  IMSE_UNROLL for (int i = 0; i < SUMS; i++) sums[i] = Vec{};
  for (int k = 0; k < inputs; k++) {
    const float* row = rows[k] + at;
    Vec x[COLUMNS];
    IMSE_UNROLL for (int j = 0; j < COLUMNS; j++) x[j] = load(row + j * WIDTH);
    IMSE_UNROLL for (int i = 0; i < SUMS; i++) sums[i] += weights[i / COLUMNS] * x[i % COLUMNS];
    weights += HEIGHT;
  }
  IMSE_UNROLL for (int i = 0; i < SUMS; i++) sink(i / COLUMNS, at + i % COLUMNS * WIDTH, sums[i]);
}

template <int HEIGHT, class Sink>
static inline __attribute__((always_inline)) void product_band(const float* const* rows, int inputs, int bins,
                                                               const float* weights, const Sink& sink) {
  int at = 0;
  for (; at + WIDE * WIDTH <= bins; at += WIDE * WIDTH) product_tile<HEIGHT, WIDE>(rows, inputs, at, weights, sink);
  for (; at < bins; at += WIDTH) product_tile<HEIGHT, 1>(rows, inputs, at, weights, sink);
}

// `sink(m, f, sums)` takes the sums of output m at the bins from f on. `bins` is a multiple of WIDTH.
template <class Sink>
static inline __attribute__((always_inline)) void product(const float* const* rows, int inputs, int bins,
                                                          const float* weights, int outputs, const Sink& sink) {
  int first = 0;
  const auto shifted = [&](int m, int f, Vec sums) { sink(first + m, f, sums); };
  for (; first + TALL <= outputs; first += TALL, weights += TALL * inputs)
    product_band<TALL>(rows, inputs, bins, weights, shifted);
  if (TALL > 4 && outputs - first >= 4) {
    product_band<4>(rows, inputs, bins, weights, shifted);
    first += 4, weights += 4 * inputs;
  }
  if (outputs - first >= 2) {
    product_band<2>(rows, inputs, bins, weights, shifted);
    first += 2, weights += 2 * inputs;
  }
  if (outputs - first >= 1) product_band<1>(rows, inputs, bins, weights, shifted);
}

}  // namespace imse::ISA
