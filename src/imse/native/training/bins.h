// Even and odd bins taken apart and put together, and the sub-pixel convolution that doubles the bins.
#pragma once

#include "rows.h"

namespace imse::ISA {

static inline void apart(const float* __restrict row, int half, float* __restrict even, float* __restrict odd) {
  for (int f = 0; f < half; f++) {
    even[f] = row[2 * f];
    odd[f] = row[2 * f + 1];
  }
}

static inline void together(const float* __restrict even, const float* __restrict odd, int half,
                            float* __restrict row) {
  for (int f = 0; f < half; f++) {
    row[2 * f] = even[f];
    row[2 * f + 1] = odd[f];
  }
}

// [channels, frames, 2 half] to [2 channels, frames, half]: the even bins of a channel, then its odd ones.
static inline void split_bins(ConstMap x, Map out) {
  for (int c = 0; c < x.channels; c++)
    for (int t = 0; t < x.frames; t++) apart(x.row(c, t), out.bins, out.row(2 * c, t), out.row(2 * c + 1, t));
}

// And back, which is its gradient, too.
static inline void join_bins(ConstMap x, Map out) {
  for (int c = 0; c < out.channels; c++)
    for (int t = 0; t < x.frames; t++) together(x.row(2 * c, t), x.row(2 * c + 1, t), x.bins, out.row(c, t));
}

// imse.nn.decoders.Expand: of the 4 channels that 1x1 convolution makes of each, the first two are the even and the odd
// bins; the other two go to frames that are dropped. Then a depthwise convolution over three bins. The parameters, or
// their gradients: arrays in this order.
template <class Float>
struct BasicExpand {
  Float* expand;     // [4 channels, channels]
  Float* depthwise;  // [channels, 3]

  explicit BasicExpand(Float* const* arrays) : expand(arrays[0]), depthwise(arrays[1]) {}
};
using Expand = BasicExpand<const float>;
using ExpandGradient = BasicExpand<float>;

static inline void expand(ConstMap x, const Expand& weights, Map out) {
  Scratch scratch;
  const int channels = x.channels, bins = x.bins;
  const float* packed = pack(scratch, 2 * channels, channels,
                             [&](int m, int k) { return weights.expand[(m / 2 * 4 + m % 2) * channels + k]; });
  float** halves = new_rows(scratch, 2 * channels, bins);
  const Frames doubled(scratch, channels, 1, 2 * bins, 1);
  const float** rows = scratch.take<const float*>(channels);
  for (int t = 0; t < x.frames; t++) {
    for (int c = 0; c < channels; c++) rows[c] = x.row(c, t);
    product(rows, channels, bins, packed, 2 * channels, [&](int m, int f, Vec y) { store(halves[m] + f, y); });
    for (int c = 0; c < channels; c++) {
      float* row = doubled.write(0, c);
      together(halves[2 * c], halves[2 * c + 1], bins, row);
      for (int f = 0; f < 2 * bins; f += WIDTH)
        store(out.row(c, t) + f, depthwise<1, 3>(&row, weights.depthwise + 3L * c, f));
    }
  }
}

static inline void expand_gradient(ConstMap x, const Expand& weights, ConstMap of_out, Map of_x,
                                   const ExpandGradient& gradient) {
  Scratch scratch;
  const int channels = x.channels, bins = x.bins;
  const auto weight = [&](int m, int k) { return weights.expand[(m / 2 * 4 + m % 2) * channels + k]; };
  const float* packed = pack(scratch, 2 * channels, channels, weight);
  const float* of_packed = pack(scratch, channels, 2 * channels, [&](int m, int k) { return weight(k, m); });
  float **halves = new_rows(scratch, 2 * channels, bins), **of_halves = new_rows(scratch, 2 * channels, bins);
  const Frames of_doubled(scratch, 1, 1, 2 * bins, 1);
  float *doubled = scratch.take(2L * bins), *of_row = scratch.take(2L * bins);
  const float** rows = scratch.take<const float*>(channels);
  Vec* sums = scratch.zeros<Vec>(2L * channels * channels);
  Vec* depthwise_sums = scratch.zeros<Vec>(3L * channels);
  for (int t = 0; t < x.frames; t++) {
    for (int c = 0; c < channels; c++) rows[c] = x.row(c, t);
    product(rows, channels, bins, packed, 2 * channels, [&](int m, int f, Vec y) { store(halves[m] + f, y); });
    for (int c = 0; c < channels; c++) {
      together(halves[2 * c], halves[2 * c + 1], bins, doubled);
      std::memcpy(of_doubled.write(0, 0), of_out.row(c, t), 2 * bins * sizeof(float));
      const float* row = of_doubled.read(0, 0);
      depthwise_gradient<1, 3>(&row, doubled, weights.depthwise + 3L * c, 2 * bins, of_row, depthwise_sums + 3L * c);
      apart(of_row, bins, of_halves[2 * c], of_halves[2 * c + 1]);
    }
    outer(of_halves, 2 * channels, rows, channels, bins, sums);
    product(of_halves, 2 * channels, bins, of_packed, channels,
            [&](int m, int f, Vec y) { store(of_x.row(m, t) + f, y); });
  }
  for (int m = 0; m < 4 * channels; m++)
    for (int k = 0; k < channels; k++)
      gradient.expand[m * channels + k] = m % 4 < 2 ? total(sums[(m / 4 * 2 + m % 4) * channels + k]) : 0;
  for (int i = 0; i < 3 * channels; i++) gradient.depthwise[i] = total(depthwise_sums[i]);
}

}  // namespace imse::ISA
