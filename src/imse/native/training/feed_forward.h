// x + GatedFeedForward(ChannelNorm(x)): 1x1 convolution to 2 h rows, depthwise 3x3, gelu of the first h times the
// others, 1x1 convolution back. Only x is kept for the gradient.
#pragma once

#include "../common/functions.h"
#include "rows.h"

namespace imse::ISA {

// The parameters, or their gradients: arrays in this order.
template <class Float>
struct BasicFeedForward {
  Float* norm;       // [channels]
  Float* in;         // [2 hidden, channels]
  Float* depthwise;  // [2 hidden, 3, 3]
  Float* out;        // [channels, hidden]

  explicit BasicFeedForward(Float* const* arrays)
      : norm(arrays[0]), in(arrays[1]), depthwise(arrays[2]), out(arrays[3]) {}
};
using FeedForward = BasicFeedForward<const float>;
using FeedForwardGradient = BasicFeedForward<float>;

static inline void feed_forward(ConstMap x, int hidden, const FeedForward& weights, Map out) {
  Scratch scratch;
  const int channels = x.channels, frames = x.frames, bins = x.bins;
  const float* in = pack(scratch, 2 * hidden, channels,
                         [&](long m, int k) { return weights.in[m * channels + k] * weights.norm[k]; });
  const float* back = pack(scratch, channels, hidden, [&](long m, int k) { return weights.out[m * hidden + k]; });
  const Frames wide(scratch, 2 * hidden, frames, bins, 3);
  float** normed = new_rows(scratch, channels, bins);
  float** gated = new_rows(scratch, hidden, bins);
  float* rates = scratch.take(bins);
  for (int t = -1; t < frames; t++) {
    if (const int ahead = t + 1; ahead < frames) {
      channel_norm(x.frame(ahead), normed, rates);
      product(normed, channels, bins, in, 2 * hidden, [&](int m, int f, Vec y) { store(wide.write(ahead, m) + f, y); });
    }
    if (t < 0) continue;
    for (int j = 0; j < hidden; j++) {
      const float *gates[3], *values[3];
      for (int i = 0; i < 3; i++) {
        gates[i] = wide.read(t - 1 + i, j);
        values[i] = wide.read(t - 1 + i, hidden + j);
      }
      for (int f = 0; f < bins; f += WIDTH) {
        const Vec gate = depthwise<3, 3>(gates, weights.depthwise + 9 * j, f);
        const Vec value = depthwise<3, 3>(values, weights.depthwise + 9 * (hidden + j), f);
        store(gated[j] + f, gelu(gate) * value);
      }
    }
    product(gated, hidden, bins, back, channels,
            [&](int m, int f, Vec y) { store(out.row(m, t) + f, load(x.row(m, t) + f) + y); });
  }
}

static inline void feed_forward_gradient(ConstMap x, int hidden, const FeedForward& weights, ConstMap of_out, Map of_x,
                                         const FeedForwardGradient& gradient) {
  Scratch scratch;
  const int channels = x.channels, frames = x.frames, bins = x.bins;
  const auto in_weight = [&](long m, int k) { return weights.in[m * channels + k] * weights.norm[k]; };
  const float* in = pack(scratch, 2 * hidden, channels, in_weight);
  const float* of_in = pack(scratch, channels, 2 * hidden, [&](int m, int k) { return in_weight(k, m); });
  const float* of_back = pack(scratch, hidden, channels, [&](int m, long k) { return weights.out[k * hidden + m]; });
  const Frames wide(scratch, 2 * hidden, frames, bins, 3), of_wide(scratch, 2 * hidden, frames, bins, 3);
  float** normed[3];  // frame t is in t % 3
  for (auto& rows : normed) rows = new_rows(scratch, channels, bins);
  float* rates = scratch.take(3L * bins);
  float** gated = new_rows(scratch, hidden, bins);
  float** of_gated = new_rows(scratch, hidden, bins);
  float** of_rows = new_rows(scratch, 2 * hidden, bins);
  float** of_normed = new_rows(scratch, channels, bins);
  const float** of_sums = scratch.take<const float*>(channels);
  Vec* sums_in = scratch.zeros<Vec>(2L * hidden * channels);
  Vec* sums_depthwise = scratch.zeros<Vec>(18L * hidden);
  Vec* sums_out = scratch.zeros<Vec>(static_cast<long>(channels) * hidden);

  // Three frames apart: what is computed again, the gradient up to the depthwise convolution, and on to x.
  for (int last = -2; last < frames; last++) {
    if (const int t = last + 2; t < frames) {
      channel_norm(x.frame(t), normed[t % 3], rates + t % 3 * bins);
      product(normed[t % 3], channels, bins, in, 2 * hidden,
              [&](int m, int f, Vec y) { store(wide.write(t, m) + f, y); });
    }
    if (const int t = last + 1; t >= 0 && t < frames) {
      for (int c = 0; c < channels; c++) of_sums[c] = of_out.row(c, t);
      product(of_sums, channels, bins, of_back, hidden, [&](int m, int f, Vec y) { store(of_gated[m] + f, y); });
      for (int j = 0; j < hidden; j++) {
        const float *gates[3], *values[3];
        for (int i = 0; i < 3; i++) {
          gates[i] = wide.read(t - 1 + i, j);
          values[i] = wide.read(t - 1 + i, hidden + j);
        }
        float *of_gate = of_wide.write(t, j), *of_value = of_wide.write(t, hidden + j);
        for (int f = 0; f < bins; f += WIDTH) {
          const Vec gate = depthwise<3, 3>(gates, weights.depthwise + 9 * j, f);
          const Vec value = depthwise<3, 3>(values, weights.depthwise + 9 * (hidden + j), f);
          const Vec probability = normal_probability(gate), g = load(of_gated[j] + f);
          const Vec activated = gate * probability;
          store(gated[j] + f, activated * value);
          store(of_value + f, g * activated);
          store(of_gate + f, g * value * (probability + gate * normal_density(gate)));
        }
      }
      outer(of_sums, channels, gated, hidden, bins, sums_out);
    }
    if (const int t = last; t >= 0) {
      for (int j = 0; j < 2 * hidden; j++) {
        const float* g[3];
        for (int i = 0; i < 3; i++) g[i] = of_wide.read(t + 1 - i, j);
        depthwise_gradient<3, 3>(g, wide.read(t, j), weights.depthwise + 9 * j, bins, of_rows[j],
                                 sums_depthwise + 9 * j);
      }
      outer(of_rows, 2 * hidden, normed[t % 3], channels, bins, sums_in);
      product(of_rows, 2 * hidden, bins, of_in, channels, [&](int m, int f, Vec y) { store(of_normed[m] + f, y); });
      channel_norm_gradient(x.frame(t), of_normed, rates + t % 3 * bins, of_out.frame(t), of_x.frame(t));
    }
  }
  normed_weight_gradient(sums_in, 2 * hidden, channels, weights.norm, weights.in, gradient.norm, gradient.in);
  for (int i = 0; i < 2 * hidden * 9; i++) gradient.depthwise[i] = total(sums_depthwise[i]);
  for (int i = 0; i < channels * hidden; i++) gradient.out[i] = total(sums_out[i]);
}

}  // namespace imse::ISA
