// Single convolutions, "same" in time and frequency, dense or depthwise, and the inception depthwise convolution.
#pragma once

#include "../common/architecture.h"
#include "rows.h"

namespace imse::ISA {

struct Kernel {
  int frames, bins;  // both odd
  int taps() const { return frames * bins; }
};

// Biases are [outputs] or none at all.
static inline void convolution(ConstMap x, Kernel kernel, const float* weight, const float* bias, Map out) {
  Scratch scratch;
  const int inputs = x.channels, outputs = out.channels, frames = x.frames, bins = x.bins;
  const int ahead = kernel.frames / 2, size = inputs * kernel.taps();
  // Products over (frame of the tap, input, bin of the tap): a row is read several times in a row.
  const float* packed = pack(scratch, outputs, size, [&](long m, int k) {
    const int dt = k / (inputs * kernel.bins), input = k / kernel.bins % inputs, df = k % kernel.bins;
    return weight[((m * inputs + input) * kernel.frames + dt) * kernel.bins + df];
  });
  const Frames ring(scratch, inputs, frames, bins, kernel.frames);
  const float** taps = scratch.take<const float*>(size);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames)
      for (int i = 0; i < inputs; i++) std::memcpy(ring.write(t + ahead, i), x.row(i, t + ahead), bins * sizeof(float));
    if (t < 0) continue;
    int k = 0;
    for (int dt = -ahead; dt <= ahead; dt++)
      for (int i = 0; i < inputs; i++)
        for (int df = -(kernel.bins / 2); df <= kernel.bins / 2; df++) taps[k++] = ring.read(t + dt, i) + df;
    product(taps, size, bins, packed, outputs,
            [&](int m, int f, Vec y) { store(out.row(m, t) + f, bias ? y + bias[m] : y); });
  }
}

// The data of `of_x`, or `of_bias`, may be null.
static inline void convolution_gradient(ConstMap x, Kernel kernel, const float* weight, ConstMap of_out, Map of_x,
                                        float* of_weight, float* of_bias) {
  Scratch scratch;
  const int inputs = x.channels, outputs = of_out.channels, frames = x.frames, bins = x.bins;
  const int ahead = kernel.frames / 2, size = outputs * kernel.taps();
  const float* packed = pack(scratch, inputs, size, [&](int m, int k) {
    const int dt = k / (outputs * kernel.bins), output = k / kernel.bins % outputs, df = k % kernel.bins;
    return weight[((static_cast<long>(output) * inputs + m) * kernel.frames + dt) * kernel.bins + df];
  });
  const Frames ring(scratch, outputs, frames, bins, kernel.frames);
  const float** taps = scratch.take<const float*>(size);
  const float** rows = scratch.take<const float*>(inputs);
  Vec* sums = scratch.zeros<Vec>(static_cast<long>(inputs) * size);
  Vec* bias_sums = scratch.zeros<Vec>(outputs);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames)
      for (int m = 0; m < outputs; m++) {
        const float* row = of_out.row(m, t + ahead);
        std::memcpy(ring.write(t + ahead, m), row, bins * sizeof(float));
        if (of_bias) add_row(row, bins, bias_sums + m);
      }
    if (t < 0) continue;
    int k = 0;
    for (int dt = -ahead; dt <= ahead; dt++)
      for (int m = 0; m < outputs; m++)
        for (int df = -(kernel.bins / 2); df <= kernel.bins / 2; df++) taps[k++] = ring.read(t - dt, m) - df;
    for (int i = 0; i < inputs; i++) rows[i] = x.row(i, t);
    outer(rows, inputs, taps, size, bins, sums);
    if (of_x.data)
      product(taps, size, bins, packed, inputs, [&](int m, int f, Vec y) { store(of_x.row(m, t) + f, y); });
  }
  for (int m = 0; m < outputs; m++) {
    if (of_bias) of_bias[m] = total(bias_sums[m]);
    for (int i = 0; i < inputs; i++)
      for (int dt = 0; dt < kernel.frames; dt++)
        for (int df = 0; df < kernel.bins; df++)
          of_weight[((static_cast<long>(m) * inputs + i) * kernel.frames + dt) * kernel.bins + df] =
              total(sums[((static_cast<long>(i) * kernel.frames + dt) * outputs + m) * kernel.bins + df]);
  }
}

// Of channel c, with its own weights [TALL_KERNEL, WIDE_KERNEL] and bias, or null. `x` and `out` may be the same.
template <int TALL_KERNEL, int WIDE_KERNEL>
static void depthwise_channel(ConstMap x, int c, const float* weight, const float* bias, Map out) {
  Scratch scratch;
  const int frames = x.frames, bins = x.bins;
  constexpr int ahead = TALL_KERNEL / 2;
  const Frames ring(scratch, 1, frames, bins, TALL_KERNEL);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames) std::memcpy(ring.write(t + ahead, 0), x.row(c, t + ahead), bins * sizeof(float));
    if (t < 0) continue;
    const float* rows[TALL_KERNEL];
    for (int i = 0; i < TALL_KERNEL; i++) rows[i] = ring.read(t + i - ahead, 0);
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec y = depthwise<TALL_KERNEL, WIDE_KERNEL>(rows, weight, f);
      store(out.row(c, t) + f, bias ? y + *bias : y);
    }
  }
}

template <int TALL_KERNEL, int WIDE_KERNEL>
static void depthwise_channel_gradient(ConstMap x, int c, const float* weight, ConstMap of_out, Map of_x,
                                       float* of_weight, float* of_bias) {
  Scratch scratch;
  const int frames = x.frames, bins = x.bins;
  constexpr int ahead = TALL_KERNEL / 2;
  const Frames ring(scratch, 1, frames, bins, TALL_KERNEL);
  Vec sums[TALL_KERNEL * WIDE_KERNEL] = {}, bias_sum = {};
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames) {
      const float* row = of_out.row(c, t + ahead);
      std::memcpy(ring.write(t + ahead, 0), row, bins * sizeof(float));
      if (of_bias) add_row(row, bins, &bias_sum);
    }
    if (t < 0) continue;
    const float* rows[TALL_KERNEL];
    for (int i = 0; i < TALL_KERNEL; i++) rows[i] = ring.read(t + ahead - i, 0);
    depthwise_gradient<TALL_KERNEL, WIDE_KERNEL>(rows, x.row(c, t), weight, bins, of_x.row(c, t), sums);
  }
  for (int i = 0; i < TALL_KERNEL * WIDE_KERNEL; i++) of_weight[i] = total(sums[i]);
  if (of_bias) *of_bias = total(bias_sum);
}

// 1x1 convolution, then the last three groups of channels pass a depthwise convolution each. The parameters, or their
// gradients: arrays in this order.
template <class Float>
struct BasicIDConv {
  Float* pointwise;  // [channels, channels]
  Float* square;     // [group, 3, 3]
  Float* square_bias;
  Float* frequency;  // [group, BAND]
  Float* frequency_bias;
  Float* time;  // [group, BAND]
  Float* time_bias;

  explicit BasicIDConv(Float* const* arrays)
      : pointwise(arrays[0]),
        square(arrays[1]),
        square_bias(arrays[2]),
        frequency(arrays[3]),
        frequency_bias(arrays[4]),
        time(arrays[5]),
        time_bias(arrays[6]) {}
};
using IDConv = BasicIDConv<const float>;
using IDConvGradient = BasicIDConv<float>;

static inline void idconv(ConstMap x, const IDConv& weights, Map out) {
  const int group = x.channels / BRANCH_DIVISOR, first = x.channels - 3 * group;
  convolution(x, {1, 1}, weights.pointwise, nullptr, out);
  for (int i = 0; i < group; i++) {
    const int square = first + i, frequency = square + group, time = frequency + group;
    depthwise_channel<3, 3>(out, square, weights.square + 9L * i, weights.square_bias + i, out);
    depthwise_channel<1, BAND>(out, frequency, weights.frequency + BAND * i, weights.frequency_bias + i, out);
    depthwise_channel<BAND, 1>(out, time, weights.time + BAND * i, weights.time_bias + i, out);
  }
}

static inline void idconv_gradient(ConstMap x, const IDConv& weights, ConstMap of_out, Map of_x,
                                   const IDConvGradient& gradient) {
  Scratch scratch;
  const int group = x.channels / BRANCH_DIVISOR, filtered = 3 * group, first = x.channels - filtered;
  const long size = x.size();
  // The map between the two convolutions, in its last channels, and its gradient in all; beside it that of the output.
  const Map inner{scratch.take(filtered * size), filtered, x.frames, x.bins};
  const Map of_inner{scratch.take(x.channels * size), x.channels, x.frames, x.bins};
  const Map of_filtered{of_inner.channel(first), filtered, x.frames, x.bins};
  const ConstMap g{of_out.channel(first), filtered, x.frames, x.bins};
  convolution(x, {1, 1}, weights.pointwise + static_cast<long>(first) * x.channels, nullptr, inner);
  std::memcpy(of_inner.data, of_out.data, first * size * sizeof(float));
  for (int i = 0; i < group; i++) {
    const int frequency = group + i, time = 2 * group + i;
    depthwise_channel_gradient<3, 3>(inner, i, weights.square + 9L * i, g, of_filtered, gradient.square + 9L * i,
                                     gradient.square_bias + i);
    depthwise_channel_gradient<1, BAND>(inner, frequency, weights.frequency + BAND * i, g, of_filtered,
                                        gradient.frequency + BAND * i, gradient.frequency_bias + i);
    depthwise_channel_gradient<BAND, 1>(inner, time, weights.time + BAND * i, g, of_filtered, gradient.time + BAND * i,
                                        gradient.time_bias + i);
  }
  convolution_gradient(x, {1, 1}, weights.pointwise, of_inner, of_x, gradient.pointwise, nullptr);
}

}  // namespace imse::ISA
