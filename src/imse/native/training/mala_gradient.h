// The gradient of x + MALA(ChannelNorm(x)).
//
// Three passes over the frames: the values once more; from the output back to queries, gates, LePE and the attention's
// sums over all positions; from those back to keys and values, and through the norm to x.
#pragma once

#include <initializer_list>

#include "mala.h"

namespace imse::ISA {

class MalaBackward {
 public:
  MalaBackward(Scratch& scratch, ConstMap x, const float* table, const Mala& weights, const float* sums,
               ConstMap of_out, Map of_x, const MalaGradient& gradient)
      : channels_(x.channels),
        heads_(x.channels / HEAD_SIZE),
        bins_(x.bins),
        x_(x),
        table_(table, x),
        weights_(weights),
        sums_(sums, x.channels),
        of_out_(of_out),
        of_x_(of_x),
        gradient_(gradient),
        scratch_(scratch),
        inputs_(scratch, x, weights),
        of_local_(scratch, x.channels, x.frames, x.bins, x.frames),
        of_sums_(scratch.take(static_cast<long>(x.channels) * MalaSums::PER_CHANNEL), x.channels) {
    of_queries_ = new_map();
    of_gates_ = new_map();
    for (float*** rows : {&positive_, &rotated_, &gates_, &linear_, &of_gated_, &of_linear_})
      *rows = new_rows(scratch, channels_, bins_);
    of_rotated_ = new_rows(scratch, HEAD_SIZE, bins_);
    for (float** row : {&magnitude_, &inverse_, &of_magnitude_}) *row = scratch.take(bins_);
    given_ = scratch.take<const float*>(channels_);
  }

  void run() {
    for (int t = 0; t < x_.frames; t++) inputs_.begin_frame(t);
    from_output();
    to_input();
  }

 private:
  // Rows [frames, channels, bins].
  float* new_map() const { return scratch_.take(static_cast<long>(channels_) * x_.size()); }
  float* row(float* map, int t, int c) const { return map + (static_cast<long>(t) * channels_ + c) * bins_; }

  Vec* vectors(long count) const { return scratch_.zeros<Vec>(count); }
  static void write(const Vec* sums, long count, float* to, float factor = 1) {
    for (long i = 0; i < count; i++) to[i] = total(sums[i]) * factor;
  }

  // Every head's products [key, value] as the weights of a product, those of the keys as inputs or as outputs.
  const float** pack_heads(const MalaSums& sums, bool keys_are_inputs) const {
    const float** packed = scratch_.take<const float*>(heads_);
    for (int h = 0; h < heads_; h++) {
      const float* own = sums.products_of(h);
      packed[h] = pack(scratch_, HEAD_SIZE, HEAD_SIZE,
                       [&](int m, int k) { return keys_are_inputs ? own[k * HEAD_SIZE + m] : own[m * HEAD_SIZE + k]; });
    }
    return packed;
  }

  // ---- From the output to queries, gates, LePE and the sums ----

  // What is added up over all positions on the way.
  struct OutputSums {
    Vec *proj, *proj_bias, *lepe_bias, *products, *keys, *values;
  };

  void from_output() {
    const long square = static_cast<long>(channels_) * channels_;
    const OutputSums added{vectors(square),    vectors(channels_),
                           vectors(channels_), vectors(static_cast<long>(channels_) * HEAD_SIZE),
                           vectors(channels_), vectors(channels_)};
    const float* of_proj =
        pack(scratch_, channels_, channels_, [&](int m, long k) { return weights_.proj[k * channels_ + m]; });
    const float** attend = pack_heads(sums_, true);
    const float** of_attend = pack_heads(sums_, false);
    for (int t = 0; t < x_.frames; t++) {
      inputs_.positive(QUERIES, t, positive_);
      inputs_.gates(t, gates_);
      for (int c = 0; c < channels_; c++) {
        given_[c] = of_out_.row(c, t);
        add_row(given_[c], bins_, added.proj_bias + c);
      }
      product(given_, channels_, bins_, of_proj, channels_, [&](int m, int f, Vec y) { store(of_gated_[m] + f, y); });
      for (int h = 0; h < heads_; h++) {
        attend_again(t, h * HEAD_SIZE, attend[h]);
        for (int m = 0; m < HEAD_SIZE; m++) from_gated(t, h * HEAD_SIZE + m, added);
        to_queries(t, h * HEAD_SIZE, of_attend[h], added);
      }
      outer(given_, channels_, gates_, channels_, bins_, added.proj);  // the gates have become what they let through
    }
    const float scale = 1 / __builtin_sqrtf(HEAD_SIZE) / x_.size();
    write(added.proj, square, gradient_.proj);
    write(added.proj_bias, channels_, gradient_.proj_bias);
    write(added.lepe_bias, channels_, gradient_.lepe_bias);
    write(added.products, static_cast<long>(channels_) * HEAD_SIZE, of_sums_.products, scale);
    write(added.keys, channels_, of_sums_.keys, scale);
    write(added.values, channels_, of_sums_.values, 1.0f / x_.size());
  }

  // One head's attention once more: magnitude, its inverse, rotated queries, and their product with the sums.
  void attend_again(int t, int first, const float* attend) const {
    for (int f = 0; f < bins_; f += WIDTH) {
      Vec sum = {};
      for (int j = 0; j < HEAD_SIZE; j++) sum += sums_.keys[first + j] * load(positive_[first + j] + f);
      store(magnitude_ + f, sum);
      store(inverse_ + f, 1.0f / (sum + ATTENTION_EPSILON));
      store(of_magnitude_ + f, Vec{});
    }
    table_.rotate_rows(t, 1, positive_ + first, rotated_ + first);
    product(rotated_ + first, HEAD_SIZE, bins_, attend, HEAD_SIZE,
            [&](int m, int f, Vec y) { store(linear_[first + m] + f, y); });
  }

  // Through gate, LePE and sharpening of one channel.
  void from_gated(int t, int c, const OutputSums& added) const {
    const auto local = inputs_.local(t, c);
    float *of_local = of_local_.write(t, c), *of_gate = row(of_gates_, t, c);
    Vec of_mean = {}, of_bias = {};
    for (int f = 0; f < bins_; f += WIDTH) {
      const Vec magnitude = load(magnitude_ + f), inverse = load(inverse_ + f), linear = load(linear_[c] + f);
      const Vec sum = linear * (1.0f + inverse) - magnitude * sums_.values[c] + local(f);
      const Vec gate = load(gates_[c] + f), of_product = load(of_gated_[c] + f), g = of_product * gate;
      store(of_gate + f, of_product * sum);
      store(of_local + f, g);
      store(gates_[c] + f, gate * sum);
      store(of_linear_[c] + f, g * (1.0f + inverse));
      store(of_magnitude_ + f, load(of_magnitude_ + f) - g * (linear * inverse * inverse + sums_.values[c]));
      of_mean -= g * magnitude;
      of_bias += g;
    }
    added.values[c] += of_mean;
    added.lepe_bias[c] += of_bias;
  }

  // From one head's attention to its queries, before the feature map, and to the sums.
  void to_queries(int t, int first, const float* of_attend, const OutputSums& added) const {
    outer(rotated_ + first, HEAD_SIZE, of_linear_ + first, HEAD_SIZE, bins_,
          added.products + static_cast<long>(first) * HEAD_SIZE);
    product(of_linear_ + first, HEAD_SIZE, bins_, of_attend, HEAD_SIZE,
            [&](int m, int f, Vec y) { store(of_rotated_[m] + f, y); });
    table_.rotate_rows(t, -1, of_rotated_, of_rotated_);
    for (int m = 0; m < HEAD_SIZE; m++) {
      const int c = first + m;
      float* of_query = row(of_queries_, t, c);
      Vec of_mean = {};
      for (int f = 0; f < bins_; f += WIDTH) {
        const Vec query = load(positive_[c] + f), by_magnitude = load(of_magnitude_ + f);
        of_mean += by_magnitude * query;
        store(of_query + f, (load(of_rotated_[m] + f) + by_magnitude * sums_.keys[c]) * feature_slope(query));
      }
      added.keys[c] += of_mean;
    }
  }

  // The derivative of ELU + 1, from its value.
  static Vec feature_slope(Vec positive) { return minimum(positive, splat(1.0f)); }

  // ---- From sums and LePE to keys and values, and on to x ----

  void to_input() {
    const int outputs = PARTS * channels_;
    const long matrix = static_cast<long>(outputs) * channels_;
    Vec *lepe = vectors(LEPE_TAPS * channels_), *qkvo = vectors(matrix), *qkvo_bias = vectors(outputs);
    const float* of_qkvo = pack(scratch_, channels_, outputs,
                                [&](int m, long k) { return weights_.qkvo[k * channels_ + m] * weights_.norm[m]; });
    const MalaSums of_sums(of_sums_.products, channels_);
    const float** of_keys = pack_heads(of_sums, false);
    const float** of_values = pack_heads(of_sums, true);
    float **of_key_rows = gates_, **of_value_rows = linear_, **of_normed = of_gated_;  // whose work is done
    const float** of_rows = scratch_.take<const float*>(outputs);
    for (int t = 0; t < x_.frames; t++) {
      inputs_.positive(KEYS, t, positive_);
      for (int c = 0; c < channels_; c++) {
        const float* g[LEPE_SIZE];
        for (int i = 0; i < LEPE_SIZE; i++) g[i] = of_local_.read(t + LEPE_SIZE / 2 - i, c);
        depthwise_gradient<LEPE_SIZE, LEPE_SIZE>(g, inputs_.values.read(t, c), weights_.lepe + LEPE_TAPS * c, bins_,
                                                 of_value_rows[c], lepe + LEPE_TAPS * c);
      }
      for (int h = 0; h < heads_; h++)
        to_keys_values(t, h * HEAD_SIZE, of_keys[h], of_values[h], of_key_rows, of_value_rows);
      for (int c = 0; c < channels_; c++) {
        of_rows[QUERIES * channels_ + c] = row(of_queries_, t, c);
        of_rows[KEYS * channels_ + c] = of_key_rows[c];
        of_rows[VALUES * channels_ + c] = of_value_rows[c];
        of_rows[GATES * channels_ + c] = row(of_gates_, t, c);
      }
      for (int m = 0; m < outputs; m++) add_row(of_rows[m], bins_, qkvo_bias + m);
      outer(of_rows, outputs, inputs_.normed(t), channels_, bins_, qkvo);
      product(of_rows, outputs, bins_, of_qkvo, channels_, [&](int m, int f, Vec y) { store(of_normed[m] + f, y); });
      channel_norm_gradient(x_.frame(t), of_normed, inputs_.rates(t), of_out_.frame(t), of_x_.frame(t));
    }
    normed_weight_gradient(qkvo, outputs, channels_, weights_.norm, weights_.qkvo, gradient_.norm, gradient_.qkvo);
    write(qkvo_bias, outputs, gradient_.qkvo_bias);
    write(lepe, LEPE_TAPS * channels_, gradient_.lepe);
  }

  // One head: to its keys, before the feature map; added to what its values have from LePE.
  void to_keys_values(int t, int first, const float* of_keys, const float* of_values, float* const* of_key_rows,
                      float* const* of_value_rows) const {
    const float* values[HEAD_SIZE];
    for (int m = 0; m < HEAD_SIZE; m++) values[m] = inputs_.values.read(t, first + m);
    table_.rotate_rows(t, 1, positive_ + first, rotated_ + first);
    product(rotated_ + first, HEAD_SIZE, bins_, of_values, HEAD_SIZE, [&](int m, int f, Vec y) {
      float* to = of_value_rows[first + m] + f;
      store(to, load(to) + (y + of_sums_.values[first + m]));
    });
    product(values, HEAD_SIZE, bins_, of_keys, HEAD_SIZE, [&](int m, int f, Vec y) { store(of_rotated_[m] + f, y); });
    table_.rotate_rows(t, -1, of_rotated_, of_rotated_);
    for (int m = 0; m < HEAD_SIZE; m++) {
      const int c = first + m;
      for (int f = 0; f < bins_; f += WIDTH)
        store(of_key_rows[c] + f,
              (load(of_rotated_[m] + f) + of_sums_.keys[c]) * feature_slope(load(positive_[c] + f)));
    }
  }

  const int channels_, heads_, bins_;
  const ConstMap x_;
  const RotaryTable table_;
  const Mala& weights_;
  const MalaSums sums_;
  const ConstMap of_out_;
  const Map of_x_;
  const MalaGradient& gradient_;
  Scratch& scratch_;
  const MalaInputs inputs_;
  const Frames of_local_;
  const BasicMalaSums<float> of_sums_;
  float *of_queries_, *of_gates_;  // of all frames
  // Of one frame: queries or keys after the feature map, rotated, ...
  float **positive_, **rotated_, **gates_, **linear_, **of_gated_, **of_linear_;
  float** of_rotated_;                           // of one head
  float *magnitude_, *inverse_, *of_magnitude_;  // of one head
  const float** given_;                          // the output's gradient at one frame
};

// Gradient with respect to x and the parameters, from the sums that `mala` kept.
static inline void mala_gradient(ConstMap x, const float* table, const Mala& weights, const float* sums,
                                 ConstMap of_out, Map of_x, const MalaGradient& gradient) {
  Scratch scratch;
  MalaBackward(scratch, x, table, weights, sums, of_out, of_x, gradient).run();
}

}  // namespace imse::ISA
