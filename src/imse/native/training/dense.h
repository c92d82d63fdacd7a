// Convolution, instance norm over time and frequency, PReLU: one layer, and blocks of them in which each layer reads
// all maps before it. Bias and norm: the norm takes any constant off again, so the bias has no effect and a gradient of
// zero.
#pragma once

#include "../common/architecture.h"
#include "rows.h"

namespace imse::ISA {

// The parameters of a norm and a PReLU, or their gradients, each [channels]: arrays in this order.
template <class Float>
struct BasicNormPReLU {
  Float *scale, *shift, *slope;

  explicit BasicNormPReLU(Float* const* arrays) : scale(arrays[0]), shift(arrays[1]), slope(arrays[2]) {}
};
using NormPReLU = BasicNormPReLU<const float>;
using NormPReLUGradient = BasicNormPReLU<float>;

// The parameters of a layer of a block, or their gradients: arrays in this order.
template <class Float>
struct BasicDenseLayer {
  static constexpr int COUNT = 5;
  Float* weight;  // [channels, inputs, 3, 3], the newest map first among the inputs
  Float* bias;    // [channels]
  BasicNormPReLU<Float> norm;

  explicit BasicDenseLayer(Float* const* arrays) : weight(arrays[0]), bias(arrays[1]), norm(arrays + 2) {}
};

// The layers of a block, one after another.
template <class Float>
struct BasicDenseLayers {
  using Layer = BasicDenseLayer<Float>;
  Float* const* arrays;
  int depth;

  Layer operator[](int layer) const { return Layer(arrays + layer * Layer::COUNT); }
};
using DenseLayers = BasicDenseLayers<const float>;
using DenseGradients = BasicDenseLayers<float>;

// Mean and 1 / standard deviation of a channel, as two floats in memory.
struct Moments {
  float mean, rate;

  static Moments read(const float* stats, long channel) { return {stats[2 * channel], stats[2 * channel + 1]}; }
  void write(float* stats, long channel) const { stats[2 * channel] = mean, stats[2 * channel + 1] = rate; }
};

static inline Moments moments(const float* map, long count) {
  Vec sums[4] = {};
  const long whole = count / (4 * WIDTH) * (4 * WIDTH);
  for (long i = 0; i < whole; i += 4 * WIDTH)
    for (int j = 0; j < 4; j++) sums[j] += load(map + i + j * WIDTH);
  for (long i = whole; i < count; i += WIDTH) sums[0] += load(map + i);
  const float mean = total((sums[0] + sums[1]) + (sums[2] + sums[3])) / count;
  Vec squares[4] = {};
  for (long i = 0; i < whole; i += 4 * WIDTH)
    for (int j = 0; j < 4; j++) {
      const Vec off = load(map + i + j * WIDTH) - mean;
      squares[j] += off * off;
    }
  for (long i = whole; i < count; i += WIDTH) {
    const Vec off = load(map + i) - mean;
    squares[0] += off * off;
  }
  const float variance = total((squares[0] + squares[1]) + (squares[2] + squares[3])) / count;
  return {mean, 1 / __builtin_sqrtf(variance + NORM_EPSILON)};
}

// Norm and PReLU of a channel.
struct Activation {
  float factor, offset, slope;

  Activation(Moments moments, const NormPReLU& norm, int channel)
      : factor(norm.scale[channel] * moments.rate),
        offset(norm.shift[channel] - moments.mean * factor),
        slope(norm.slope[channel]) {}
  Vec operator()(Vec x) const {
    const Vec n = x * factor + offset;
    return select(n > 0, n, n * slope);
  }
  void row(const float* from, long count, float* to) const {
    for (long i = 0; i < count; i += WIDTH) store(to + i, (*this)(load(from + i)));
  }
};

// A dense block on its way forward: its input, its layers, and of each layer's channels the convolution before norm and
// PReLU, [depth * channels, frames, bins], and its moments, [depth * channels, 2].
template <class Float>
struct BasicDenseBlock {
  ConstMap x;
  DenseLayers layers;
  BasicMap<Float> convolved;
  Float* stats;

  BasicDenseBlock(ConstMap x, DenseLayers layers, Float* sums, Float* stats)
      : x(x), layers(layers), convolved{sums, layers.depth * x.channels, x.frames, x.bins}, stats(stats) {}

  int channel(int layer, int c) const { return layer * x.channels + c; }
  Activation activation(int layer, int c) const {
    return {Moments::read(stats, channel(layer, c)), layers[layer].norm, c};
  }

  // The inputs of a layer at one frame: the layers before it, activated, the newest first, then x.
  void inputs(int layer, int t, float* const* rows) const {
    for (int j = layer - 1; j >= 0; j--)
      for (int c = 0; c < x.channels; c++) activation(j, c).row(convolved.row(channel(j, c), t), x.bins, *rows++);
    for (int c = 0; c < x.channels; c++) std::memcpy(*rows++, x.row(c, t), x.bins * sizeof(float));
  }
};

// Forward of a dense block. `sums` and `stats` of `BasicDenseBlock` are written for the gradient.
static inline void dense_forward(ConstMap x, DenseLayers layers, float* sums, float* stats, Map out) {
  const BasicDenseBlock<float> block(x, layers, sums, stats);
  const int channels = x.channels, frames = x.frames, bins = x.bins;
  for (int layer = 0; layer < layers.depth; layer++) {
    Scratch scratch;
    const int inputs = channels * (layer + 1), dilation = 1 << layer, slots = 2 * dilation + 1;
    // Products over (frame of the tap, input, bin of the tap): one row is read three times in a row.
    const float* weight = layers[layer].weight;
    const float* packed = pack(scratch, channels, 9 * inputs, [&](long m, int k) {
      const int dt = k / (3 * inputs), input = k / 3 % inputs, df = k % 3;
      return weight[((m * inputs + input) * 3 + dt) * 3 + df];
    });
    const Frames ring(scratch, inputs, frames, bins, slots);
    const float** taps = scratch.take<const float*>(9L * inputs);
    float** rows = scratch.take<float*>(inputs);
    for (int t = -dilation; t < frames; t++) {
      if (const int ahead = t + dilation; ahead < frames) {
        for (int i = 0; i < inputs; i++) rows[i] = ring.write(ahead, i);
        block.inputs(layer, ahead, rows);
      }
      if (t < 0) continue;
      int k = 0;
      for (int dt = -1; dt <= 1; dt++)
        for (int i = 0; i < inputs; i++)
          for (int df = -1; df <= 1; df++) taps[k++] = ring.read(t + dt * dilation, i) + df;
      const Rows to = {block.convolved.row(block.channel(layer, 0), t), channels, bins, x.size()};
      product(taps, 9 * inputs, bins, packed, channels, [&](int m, int f, Vec y) { store(to.row(m) + f, y); });
    }
    for (int c = 0; c < channels; c++) {
      const int at = block.channel(layer, c);
      moments(block.convolved.channel(at), x.size()).write(stats, at);
    }
  }
  const int last = layers.depth - 1;
  for (int c = 0; c < channels; c++)
    block.activation(last, c).row(block.convolved.channel(block.channel(last, c)), x.size(), out.channel(c));
}

// Gradient through norm and PReLU of a channel: first the sums over the map, then each position.
struct ActivationGradient {
  Moments at;
  float scale, shift, slope;
  float of_convolved, of_gradient, constant;

  // g: gradient of the channel's activation; x: its convolution, both [count].
  ActivationGradient(Moments moments, const NormPReLU& norm, int channel, const float* g, const float* x, long count,
                     const NormPReLUGradient& gradient)
      : at(moments), scale(norm.scale[channel]), shift(norm.shift[channel]), slope(norm.slope[channel]) {
    Vec by_scale[2] = {}, by_shift[2] = {}, by_slope[2] = {};
    const auto add = [&](long i, int j) {
      const Vec normed = (load(x + i) - at.mean) * at.rate, n = normed * scale + shift, in = load(g + i);
      by_slope[j] += select(n > 0, Vec{}, in * n);
      const Vec through = select(n > 0, in, in * slope);
      by_shift[j] += through;
      by_scale[j] += through * normed;
    };
    long i = 0;
    for (; i + 2 * WIDTH <= count; i += 2 * WIDTH)
      for (int j = 0; j < 2; j++) add(i + j * WIDTH, j);
    for (; i < count; i += WIDTH) add(i, 0);
    const float of_scale = total(by_scale[0] + by_scale[1]), of_shift = total(by_shift[0] + by_shift[1]);
    gradient.scale[channel] = of_scale;
    gradient.shift[channel] = of_shift;
    gradient.slope[channel] = total(by_slope[0] + by_slope[1]);
    // scale * rate * (through - mean(through) - normed * mean(through * normed))
    of_gradient = scale * at.rate;
    of_convolved = -of_gradient * at.rate * of_scale / count;
    constant = -of_gradient * of_shift / count - of_convolved * at.mean;
  }
  Vec operator()(Vec g, Vec x) const {
    const Vec n = (x - at.mean) * at.rate * scale + shift;
    return select(n > 0, g, g * slope) * of_gradient + (x * of_convolved + constant);
  }
};

// Products for the gradient of a layer's weights are added for so many frames at once that they have so many bins.
constexpr int BINS_AT_ONCE = 512;

// Gradient of a dense block. `of_x` and `gradients` are written.
static inline void dense_backward(ConstMap x, DenseLayers layers, const float* sums, const float* stats,
                                  ConstMap of_out, Map of_x, DenseGradients gradients) {
  const BasicDenseBlock<const float> block(x, layers, sums, stats);
  const int channels = x.channels, frames = x.frames, bins = x.bins, depth = layers.depth;
  const int together = bins < BINS_AT_ONCE ? BINS_AT_ONCE / bins : 1;
  Scratch block_scratch;
  // Of the activations of all layers but the last.
  const Map of_layers{block_scratch.take((depth - 1) * channels * x.size()), (depth - 1) * channels, frames, bins};
  for (int layer = depth - 1; layer >= 0; layer--) {
    Scratch scratch;
    const int inputs = channels * (layer + 1), dilation = 1 << layer, slots = 2 * dilation + together;
    const DenseLayers::Layer own = layers[layer];
    const DenseGradients::Layer gradient = gradients[layer];
    const auto g = [&](int c) {
      return layer == depth - 1 ? of_out.channel(c) : of_layers.channel(block.channel(layer, c));
    };
    const auto convolved = [&](int c) { return block.convolved.channel(block.channel(layer, c)); };
    auto* activations = scratch.take<ActivationGradient>(channels);
    for (int c = 0; c < channels; c++)
      activations[c] = ActivationGradient(Moments::read(stats, block.channel(layer, c)), own.norm, c, g(c),
                                          convolved(c), x.size(), gradient.norm);

    // Taps of the gradient: (frame, channel, bin), at the places from which the forward's taps led here.
    const float* packed = pack(scratch, inputs, 9 * channels, [&](int m, int k) {
      const int dt = k / (3 * channels), channel = k / 3 % channels, df = k % 3;
      return own.weight[((static_cast<long>(channel) * inputs + m) * 3 + dt) * 3 + df];
    });
    const Frames ring(scratch, channels, frames, bins, slots);
    const float** tap_lists = scratch.take<const float*>(9L * together * channels);
    float* input_rows = scratch.take(static_cast<long>(together) * inputs * bins);
    float** row_lists = row_list(scratch, input_rows, together * inputs, bins);
    float** of_inputs = scratch.take<float*>(inputs);
    for (int i = 0; i < inputs; i++) {
      const int from = layer - 1 - i / channels, c = i % channels;
      of_inputs[i] = from < 0 ? of_x.channel(c) : of_layers.channel(block.channel(from, c));
    }
    Vec* of_weight = scratch.zeros<Vec>(9L * channels * inputs);
    const bool first = layer == depth - 1;  // whose inputs are all maps: it is the first to write to them
    for (int t = -dilation; t < frames; t++) {
      if (const int ahead = t + dilation; ahead < frames)
        for (int c = 0; c < channels; c++) {
          float* row = ring.write(ahead, c);
          const long at = static_cast<long>(ahead) * bins;
          const float *from = g(c) + at, *own_row = convolved(c) + at;
          for (int f = 0; f < bins; f += WIDTH) store(row + f, activations[c](load(from + f), load(own_row + f)));
        }
      if (t < 0) continue;
      const float** taps = tap_lists + 9L * (t % together) * channels;
      int k = 0;
      for (int dt = -1; dt <= 1; dt++)
        for (int c = 0; c < channels; c++)
          for (int df = -1; df <= 1; df++) taps[k++] = ring.read(t - dt * dilation, c) - df;
      block.inputs(layer, t, row_lists + static_cast<long>(t % together) * inputs);
      if (t % together == together - 1 || t == frames - 1)
        outer(row_lists, inputs, tap_lists, 9 * channels, bins, of_weight, t % together + 1);
      product(taps, 9 * channels, bins, packed, inputs, [&](int m, int f, Vec y) {
        float* to = of_inputs[m] + static_cast<long>(t) * bins + f;
        store(to, first ? y : load(to) + y);
      });
    }
    std::memset(gradient.bias, 0, channels * sizeof(float));
    for (long c = 0; c < channels; c++)
      for (long i = 0; i < inputs; i++)
        for (int dt = 0; dt < 3; dt++)
          for (int df = 0; df < 3; df++)
            gradient.weight[((c * inputs + i) * 3 + dt) * 3 + df] =
                total(of_weight[(i * 3 + dt) * 3 * channels + c * 3 + df]);
  }
}

// Norm and PReLU alone. `stats` [channels, 2] are for the gradient.
static inline void norm_prelu(ConstMap x, const NormPReLU& norm, float* stats, Map out) {
  for (int c = 0; c < x.channels; c++) {
    const Moments own = moments(x.channel(c), x.size());
    own.write(stats, c);
    Activation(own, norm, c).row(x.channel(c), x.size(), out.channel(c));
  }
}

static inline void norm_prelu_gradient(ConstMap x, const NormPReLU& norm, const float* stats, ConstMap of_out, Map of_x,
                                       const NormPReLUGradient& gradient) {
  for (int c = 0; c < x.channels; c++) {
    const float *own = x.channel(c), *g = of_out.channel(c);
    const ActivationGradient through(Moments::read(stats, c), norm, c, g, own, x.size(), gradient);
    for (long i = 0; i < x.size(); i += WIDTH) store(of_x.channel(c) + i, through(load(g + i), load(own + i)));
  }
}

}  // namespace imse::ISA
