// x + MALA(ChannelNorm(x)), see imse.nn.mala. Kept for the gradient: x and, for the attention is linear, its sums over
// all positions.
#pragma once

#include "../common/architecture.h"
#include "../common/functions.h"
#include "../common/rotation.h"
#include "rows.h"

namespace imse::ISA {

// The parameters, or their gradients: arrays in this order.
template <class Float>
struct BasicMala {
  Float* norm;       // [channels]
  Float* qkvo;       // [4 channels, channels]
  Float* qkvo_bias;  // [4 channels]
  Float* lepe;       // [channels, LEPE_SIZE, LEPE_SIZE]
  Float* lepe_bias;  // [channels]
  Float* proj;       // [channels, channels]
  Float* proj_bias;  // [channels]

  explicit BasicMala(Float* const* arrays)
      : norm(arrays[0]),
        qkvo(arrays[1]),
        qkvo_bias(arrays[2]),
        lepe(arrays[3]),
        lepe_bias(arrays[4]),
        proj(arrays[5]),
        proj_bias(arrays[6]) {}
};
using Mala = BasicMala<const float>;
using MalaGradient = BasicMala<float>;

// Sums of all positions as they are used: key^T value * scale / positions of each head [HEAD_SIZE (key), HEAD_SIZE
// (value)], the means of keys (times scale) and of values. The gradients of these have the same form.
template <class Float>
struct BasicMalaSums {
  static constexpr int PER_CHANNEL = HEAD_SIZE + 2;
  Float *products, *keys, *values;

  BasicMalaSums(Float* data, int channels)
      : products(data), keys(data + static_cast<long>(channels) * HEAD_SIZE), values(keys + channels) {}

  Float* products_of(int head) const { return products + static_cast<long>(head) * HEAD_SIZE * HEAD_SIZE; }
};
using MalaSums = BasicMalaSums<const float>;

// Cosines and sines of a head's angles, [2, HEAD_SIZE / 2, frames, bins].
struct RotaryTable {
  ConstMap angles;

  RotaryTable(const float* data, ConstMap x) : angles{data, HEAD_SIZE, x.frames, x.bins} {}

  // Rotate a head's rows by the angles at one frame, or back: direction is 1 or -1.
  void rotate_rows(int t, float direction, const float* const* from, float* const* to) const {
    for (int pair = 0; pair < HEAD_SIZE / 2; pair++) {
      const float *cosines = angles.row(pair, t), *sines = angles.row(HEAD_SIZE / 2 + pair, t);
      for (int f = 0; f < angles.bins; f += WIDTH) {
        Vec even = load(from[2 * pair] + f), odd = load(from[2 * pair + 1] + f);
        rotate(even, odd, load(cosines + f), load(sines + f) * direction);
        store(to[2 * pair] + f, even);
        store(to[2 * pair + 1] + f, odd);
      }
    }
  }
};

// Parts of qkvo's channels.
enum Part { QUERIES, KEYS, VALUES, GATES, PARTS };

constexpr long LEPE_TAPS = LEPE_SIZE * LEPE_SIZE;

// What forward and gradient begin with: the norm, and queries, keys, values and gates from it.
class MalaInputs {
 public:
  MalaInputs(Scratch& scratch, ConstMap x, const Mala& weights)
      : values(scratch, x.channels, x.frames, x.bins, x.frames), x_(x), weights_(weights) {
    const long rows = static_cast<long>(x.frames) * x.channels;
    normed_ = row_list(scratch, scratch.take(rows * x.bins), static_cast<int>(rows), x.bins);
    rates_ = scratch.take(x.size());
    for (int part = 0; part < PARTS; part++)  // the norm's weight taken in
      packed_[part] = pack(scratch, x.channels, x.channels, [&](int m, int k) {
        return weights.qkvo[(static_cast<long>(part) * x.channels + m) * x.channels + k] * weights.norm[k];
      });
  }

  // The rows of a frame over their standard deviation, and 1 / deviation of its bins.
  float** normed(int t) const { return normed_ + static_cast<long>(t) * x_.channels; }
  float* rates(int t) const { return rates_ + static_cast<long>(t) * x_.bins; }

  // The norm and the values of a frame, the first that is asked for.
  void begin_frame(int t) const {
    channel_norm(x_.frame(t), normed(t), rates(t));
    project(VALUES, t, [&](int m, int f, Vec y) { store(values.write(t, m) + f, y); });
  }

  // Queries or keys, after the feature map.
  void positive(Part part, int t, float* const* rows) const {
    project(part, t, [&](int m, int f, Vec y) { store(rows[m] + f, elu_plus_one(y)); });
  }

  void gates(int t, float* const* rows) const {
    project(GATES, t, [&](int m, int f, Vec y) { store(rows[m] + f, y); });
  }

  // LePE of a channel at the bins from f on, as a function of f.
  auto local(int t, int c) const {
    struct Local {
      const float* rows[LEPE_SIZE];
      const float* weight;
      float bias;
      IMSE_INLINE Vec operator()(int f) const { return depthwise<LEPE_SIZE, LEPE_SIZE>(rows, weight, f) + bias; }
    };
    Local local{{}, weights_.lepe + LEPE_TAPS * c, weights_.lepe_bias[c]};
    for (int i = 0; i < LEPE_SIZE; i++) local.rows[i] = values.read(t + i - LEPE_SIZE / 2, c);
    return local;
  }

  const Frames values;

 private:
  template <class Sink>
  IMSE_INLINE void project(Part part, int t, const Sink& sink) const {
    const float* bias = weights_.qkvo_bias + static_cast<long>(part) * x_.channels;
    product(normed(t), x_.channels, x_.bins, packed_[part], x_.channels,
            [&](int m, int f, Vec y) { sink(m, f, y + bias[m]); });
  }

  const ConstMap x_;
  const Mala& weights_;
  const float* packed_[PARTS];
  float** normed_;
  float* rates_;
};

// The first pass forward: the sums over all positions.
static inline void mala_sums(Scratch& scratch, const MalaInputs& inputs, ConstMap x, const RotaryTable& table,
                             const BasicMalaSums<float>& sums) {
  const int channels = x.channels, bins = x.bins;
  const float scale = 1 / __builtin_sqrtf(HEAD_SIZE);
  float** keys = new_rows(scratch, channels, bins);
  const float** values = scratch.take<const float*>(channels);
  Vec* products = scratch.zeros<Vec>(static_cast<long>(channels) * HEAD_SIZE);
  Vec* key_sums = scratch.zeros<Vec>(channels);
  Vec* value_sums = scratch.zeros<Vec>(channels);
  for (int t = 0; t < x.frames; t++) {
    inputs.begin_frame(t);
    inputs.positive(KEYS, t, keys);
    for (int c = 0; c < channels; c++) {
      values[c] = inputs.values.read(t, c);
      add_row(keys[c], bins, key_sums + c);
      add_row(values[c], bins, value_sums + c);
    }
    for (int first = 0; first < channels; first += HEAD_SIZE) {
      table.rotate_rows(t, 1, keys + first, keys + first);
      outer(keys + first, HEAD_SIZE, values + first, HEAD_SIZE, bins, products + static_cast<long>(first) * HEAD_SIZE);
    }
  }
  for (int i = 0; i < channels * HEAD_SIZE; i++) sums.products[i] = total(products[i]) * (scale / x.size());
  for (int c = 0; c < channels; c++) {
    sums.keys[c] = total(key_sums[c]) * (scale / x.size());
    sums.values[c] = total(value_sums[c]) / x.size();
  }
}

// Forward. `sums` [channels * MalaSums::PER_CHANNEL] are for the gradient.
static inline void mala(ConstMap x, const float* table_data, const Mala& weights, float* sums_data, Map out) {
  Scratch scratch;
  const int channels = x.channels, heads = channels / HEAD_SIZE, bins = x.bins;
  const RotaryTable table(table_data, x);
  const MalaInputs inputs(scratch, x, weights);
  const BasicMalaSums<float> sums(sums_data, channels);
  mala_sums(scratch, inputs, x, table, sums);

  const float* proj = pack(scratch, channels, channels, [&](long m, int k) { return weights.proj[m * channels + k]; });
  const float** attend = scratch.take<const float*>(heads);
  for (int h = 0; h < heads; h++)
    attend[h] =
        pack(scratch, HEAD_SIZE, HEAD_SIZE, [&](int m, int k) { return sums.products_of(h)[k * HEAD_SIZE + m]; });
  float **queries = new_rows(scratch, channels, bins), **gates = new_rows(scratch, channels, bins);
  float *magnitude = scratch.take(bins), *sharpening = scratch.take(bins);
  for (int t = 0; t < x.frames; t++) {
    inputs.positive(QUERIES, t, queries);
    inputs.gates(t, gates);
    for (int h = 0; h < heads; h++) {
      const int first = h * HEAD_SIZE;
      float** q = queries + first;
      for (int f = 0; f < bins; f += WIDTH) {
        Vec sum = {};
        for (int j = 0; j < HEAD_SIZE; j++) sum += sums.keys[first + j] * load(q[j] + f);
        store(magnitude + f, sum);
        store(sharpening + f, 1.0f + 1.0f / (sum + ATTENTION_EPSILON));
      }
      table.rotate_rows(t, 1, q, q);
      product(q, HEAD_SIZE, bins, attend[h], HEAD_SIZE, [&](int m, int f, Vec y) {
        const int c = first + m;
        const Vec attended = y * load(sharpening + f) - load(magnitude + f) * sums.values[c];
        store(gates[c] + f, (attended + inputs.local(t, c)(f)) * load(gates[c] + f));
      });
    }
    product(gates, channels, bins, proj, channels,
            [&](int m, int f, Vec y) { store(out.row(m, t) + f, load(x.row(m, t) + f) + (y + weights.proj_bias[m])); });
  }
}

}  // namespace imse::ISA
