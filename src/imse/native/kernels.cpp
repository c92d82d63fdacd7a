// The kernels of one instruction set: compiled several times, with the flags of each and ISA set to its name.
// Nothing of the standard library is used here: its inline functions would be compiled for that instruction set, and
// the linker may then pick such a copy for code that has to run anywhere.

#include "kernels.h"

namespace {

#include "simd.h"

#include "product.h"

constexpr float EPSILON = 1e-5f;
constexpr int HEAD = 8;  // channels of an attention head

template <bool SCALE, bool BIAS, bool RESIDUAL, bool RESIDUAL2>
void product_with(const float* const* rows, int inputs, const float* weights, int outputs, int bins, const float* scale,
                  const float* bias, const float* residual, const float* residual2, float* out, int stride) {
  product(rows, inputs, bins, weights, outputs, [=](int m, int f, Vec sums) {
    const long at = static_cast<long>(m) * stride + f;
    if (SCALE) sums *= load(scale + f);
    if (BIAS) sums += bias[m];
    if (RESIDUAL) sums += load(residual + at);
    if (RESIDUAL2) sums += load(residual2 + at);
    store(out + at, sums);
  });
}

void product_kernel(const float* const* rows, int inputs, const float* weights, int outputs, int bins,
                    const float* scale, const float* bias, const float* residual, const float* residual2, float* out,
                    int stride) {
  const int kind = (scale ? 1 : 0) | (bias ? 2 : 0) | (residual ? 4 : 0) | (residual2 ? 8 : 0);
  const auto chosen = kind == 0   ? product_with<false, false, false, false>
                      : kind == 1 ? product_with<true, false, false, false>
                      : kind == 2 ? product_with<false, true, false, false>
                      : kind == 3 ? product_with<true, true, false, false>
                      : kind == 4 ? product_with<false, false, true, false>
                      : kind == 6 ? product_with<false, true, true, false>
                                  : product_with<false, false, true, true>;
  chosen(rows, inputs, weights, outputs, bins, scale, bias, residual, residual2, out, stride);
}

void inverse_deviation(const float* x, int channels, int bins, int stride, float* out) {
  for (int f = 0; f < bins; f += WIDTH) {
    Vec sum = {};
    for (int c = 0; c < channels; c++) sum += load(x + c * stride + f);
    const Vec mean = sum * (1.0f / static_cast<float>(channels));
    Vec squares = {};
    for (int c = 0; c < channels; c++) {
      const Vec away = load(x + c * stride + f) - mean;
      squares += away * away;
    }
    store(out + f, 1.0f / square_root(squares * (1.0f / static_cast<float>(channels)) + EPSILON));
  }
}

void row_statistics(const float* x, int channels, int bins, int stride, float* out) {
  for (int c = 0; c < channels; c++) {
    const float* row = x + c * stride;
    Vec sum = {};
    for (int f = 0; f < bins; f += WIDTH) sum += load(row + f);
    const float mean = total(sum) / static_cast<float>(bins);
    Vec squares = {};
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec away = load(row + f) - mean;
      squares += away * away;
    }
    out[2 * c] = mean;
    out[2 * c + 1] = total(squares);
  }
}

void normalise(float* x, int channels, int bins, int stride, const float* gain, const float* shift,
               const float* slope) {
  for (int c = 0; c < channels; c++) {
    float* row = x + c * stride;
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec y = load(row + f) * gain[c] + shift[c];
      store(row + f, y > 0.0f ? y : y * slope[c]);
    }
  }
}

// A depthwise convolution at WIDTH bins after the other. The sum over its rows comes first, for each of its taps along
// frequency, and only then are the taps' sums shifted: whatever the number of rows, nothing is read but once and aligned.
template <int ROWS, int TAPS>
class SlidingConvolution {
 public:
  SlidingConvolution(const float* const* rows, long at, const float* weights) : at_(at), weights_(weights) {
    for (int t = 0; t < ROWS; t++) rows_[t] = rows[t];
    read(here_, 0);
  }

  // At the bins from f on: to be asked for one vector after the other.
  inline __attribute__((always_inline)) Vec at(int f, int bins) {
    constexpr int REACH = TAPS / 2;
    Vec after[TAPS] = {};
    if (f + WIDTH < bins) read(after, f + WIDTH);
    Vec sum = here_[REACH];
    add<0>(sum, after);
    for (int k = 0; k < TAPS; k++) before_[k] = here_[k], here_[k] = after[k];
    return sum;
  }

 private:
  inline __attribute__((always_inline)) void read(Vec* sums, int f) const {
    for (int k = 0; k < TAPS; k++) sums[k] = Vec{};
    for (int t = 0; t < ROWS; t++) {
      const Vec x = load(rows_[t] + at_ + f);
      for (int k = 0; k < TAPS; k++) sums[k] += weights_[t * TAPS + k] * x;
    }
  }

  template <int K>
  inline __attribute__((always_inline)) void add(Vec& sum, const Vec* after) const {
    if constexpr (K < TAPS) {
      if constexpr (K < TAPS / 2) sum += lanes_from<WIDTH + K - TAPS / 2>(before_[K], here_[K]);
      if constexpr (K > TAPS / 2) sum += lanes_from<K - TAPS / 2>(here_[K], after[K]);
      add<K + 1>(sum, after);
    }
  }

  const float* rows_[ROWS];
  const long at_;
  const float* const weights_;
  Vec before_[TAPS] = {}, here_[TAPS];
};

template <int ROWS, int TAPS>
void depthwise_with(const float* const* rows, const float* weights, const float* bias, int channels, int bins,
                    int stride, float* out) {
  for (int c = 0; c < channels; c++, weights += ROWS * TAPS, out += stride) {
    const float offset = bias ? bias[c] : 0.0f;
    SlidingConvolution<ROWS, TAPS> convolution(rows, static_cast<long>(c) * stride, weights);
    for (int f = 0; f < bins; f += WIDTH) store(out + f, convolution.at(f, bins) + offset);
  }
}

// The band along frequency: more taps than there are registers to slide them through.
void depthwise_band(const float* const* rows, const float* weights, const float* bias, int channels, int bins,
                    int stride, float* out) {
  constexpr int TAPS = 11;
  for (int c = 0; c < channels; c++, weights += TAPS, out += stride) {
    const float* row = rows[0] + static_cast<long>(c) * stride - TAPS / 2;
    for (int f = 0; f < bins; f += WIDTH) {
      Vec sum = splat(bias[c]);
      for (int k = 0; k < TAPS; k++) sum += weights[k] * load(row + f + k);
      store(out + f, sum);
    }
  }
}

void depthwise(const float* const* rows, int height, int width, const float* weights, const float* bias, int channels,
               int bins, int stride, float* out) {
  const auto chosen = height == 3    ? depthwise_with<3, 3>
                      : height == 5  ? depthwise_with<5, 5>
                      : height == 11 ? depthwise_with<11, 1>
                      : width == 11  ? depthwise_band
                                     : depthwise_with<1, 3>;
  chosen(rows, weights, bias, channels, bins, stride, out);
}

inline __attribute__((always_inline)) Vec square_convolution(const float* const* rows, long at, const float* weights) {
  Vec sum = {};
  for (int t = 0; t < 3; t++)
    for (int k = 0; k < 3; k++) sum += weights[t * 3 + k] * load(rows[t] + at + k - 1);
  return sum;
}

void gated(const float* const* rows, const float* weights, int hidden, int bins, int stride, float* out) {
  const long apart = static_cast<long>(hidden) * stride;
  for (int c = 0; c < hidden; c++, weights += 9) {
    for (int f = 0; f < bins; f += WIDTH) {
      const long at = static_cast<long>(c) * stride + f;
      const Vec gate = square_convolution(rows, at, weights);
      store(out + at, gelu(gate) * square_convolution(rows, at + apart, weights + hidden * 9));
    }
  }
}

// Channels 4 to 7 of a head turn along frequency, in the pairs (4, 5) and (6, 7).
inline void turn_pairs(Vec* x, const float* turn, int bins, int f) {
  for (int pair = 0; pair < 2; pair++) {
    const Vec cosine = load(turn + pair * bins + f), sine = load(turn + (2 + pair) * bins + f);
    const Vec even = x[2 * pair], odd = x[2 * pair + 1];
    x[2 * pair] = even * cosine - odd * sine;
    x[2 * pair + 1] = odd * cosine + even * sine;
  }
}

// Sums over the bins of KEYS x 4 products of rows.
template <int KEYS>
inline void outer_products(const float* keys, const float* values, int bins, int stride, float* sums) {
  Vec products[KEYS][4] = {};
  for (int f = 0; f < bins; f += WIDTH) {
    Vec value[4];
    for (int j = 0; j < 4; j++) value[j] = load(values + j * stride + f);
    for (int i = 0; i < KEYS; i++) {
      const Vec key = load(keys + i * stride + f);
      for (int j = 0; j < 4; j++) products[i][j] += key * value[j];
    }
  }
  for (int i = 0; i < KEYS; i++)
    for (int j = 0; j < 4; j++) sums[i * HEAD + j] = total(products[i][j]);
}

void gather(float* keys, const float* values, const float* turn, int heads, int bins, int stride, float* sums) {
  constexpr int KEYS = TALL / 2;  // KEYS * 4 sums in registers
  for (int h = 0; h < heads; h++, keys += HEAD * stride, values += HEAD * stride, sums += 2 * HEAD + HEAD * HEAD) {
    Vec of_keys[HEAD] = {}, of_values[HEAD] = {};
    for (int f = 0; f < bins; f += WIDTH) {
      Vec key[HEAD];
      for (int i = 0; i < HEAD; i++) {
        key[i] = elu_plus_one(load(keys + i * stride + f));
        of_keys[i] += key[i];
        of_values[i] += load(values + i * stride + f);
      }
      turn_pairs(key + 4, turn, bins, f);
      for (int i = 0; i < HEAD; i++) store(keys + i * stride + f, key[i]);
    }
    for (int i = 0; i < HEAD; i++) sums[i] = total(of_keys[i]), sums[HEAD + i] = total(of_values[i]);
    for (int i = 0; i < HEAD; i += KEYS)
      for (int j = 0; j < HEAD; j += 4)
        outer_products<KEYS>(keys + i * stride, values + j * stride, bins, stride, sums + 2 * HEAD + i * HEAD + j);
  }
}

void attend(float* queries, const float* context, const float* turn, const float* lepe, const float* gate, int heads,
            int bins, int stride) {
  for (int h = 0; h < heads; h++) {
    const float *of_keys = context, *of_values = context + HEAD, *products = context + 2 * HEAD;
    for (int f = 0; f < bins; f += WIDTH) {
      Vec query[HEAD], z = {};
      for (int i = 0; i < HEAD; i++) {
        query[i] = elu_plus_one(load(queries + i * stride + f));
        z += of_keys[i] * query[i];
      }
      turn_pairs(query + 4, turn, bins, f);
      Vec sums[HEAD] = {};
      for (int i = 0; i < HEAD; i++)
        for (int j = 0; j < HEAD; j++) sums[j] += products[i * HEAD + j] * query[i];
      const Vec sharpening = 1.0f + 1.0f / (z + 1e-6f);
      for (int j = 0; j < HEAD; j++) {
        const Vec attended = sums[j] * sharpening - z * of_values[j];
        store(queries + j * stride + f, (attended + load(lepe + j * stride + f)) * load(gate + j * stride + f));
      }
    }
    context += 2 * HEAD + HEAD * HEAD;
    queries += HEAD * stride, lepe += HEAD * stride, gate += HEAD * stride;
  }
}

void winograd_input(const float* const* frames, long floats, float* out, long apart) {
  for (long i = 0; i < floats; i += WIDTH) {
    Vec x[6];
    for (int t = 0; t < 6; t++) x[t] = load(frames[t] + i);
    const Vec outer = x[4] - 4.0f * x[2], inner = x[3] - 4.0f * x[1];
    const Vec even = x[4] - x[2], odd = 2.0f * (x[3] - x[1]);
    store(out + i, 4.0f * x[0] - 5.0f * x[2] + x[4]);
    store(out + apart + i, outer + inner);
    store(out + 2 * apart + i, outer - inner);
    store(out + 3 * apart + i, even + odd);
    store(out + 4 * apart + i, even - odd);
    store(out + 5 * apart + i, 4.0f * x[1] - 5.0f * x[3] + x[5]);
  }
}

void winograd_output(const float* sums, long apart, int channels, int bins, int stride, const float* bias,
                     const float* const* residual, float* const* out) {
  for (int c = 0; c < channels; c++) {
    const Vec offset = splat(bias ? bias[c] : 0.0f);
    for (int f = 0; f < bins; f += WIDTH) {
      const long at = static_cast<long>(c) * stride + f;
      Vec m[6];
      for (int i = 0; i < 6; i++) m[i] = load(sums + i * apart + at);
      const Vec near = m[1] + m[2], far = m[3] + m[4], nearer = m[1] - m[2], farther = m[3] - m[4];
      const Vec y[4] = {m[0] + near + far, nearer + 2.0f * farther, near + 4.0f * far,
                        nearer + 8.0f * farther + m[5]};
      for (int t = 0; t < 4; t++)
        if (out[t]) store(out[t] + at, y[t] + offset + (residual ? load(residual[t] + at) : Vec{}));
    }
  }
}

void split(const float* x, int channels, int bins, int stride, float* even, float* odd, int split_stride) {
  for (int c = 0; c < channels; c++, x += stride, even += split_stride, odd += split_stride)
    for (int f = 0; f < bins; f++) even[f] = x[2 * f], odd[f] = x[2 * f + 1];
}

void interleave(const float* even, const float* odd, int channels, int bins, int stride, float* out, int out_stride) {
  for (int c = 0; c < channels; c++, out += out_stride, even += stride, odd += stride)
    for (int f = 0; f < bins; f++) out[2 * f] = even[f], out[2 * f + 1] = odd[f];
}

void mask(const float* x, const float* noisy, const float* slopes, int bins, const float* constants, float* out) {
  const float gain = constants[0], shift = constants[1], slope = constants[2], weight = constants[3];
  const float bias = constants[4];
  for (int f = 0; f < bins; f += WIDTH) {
    Vec y = load(x + f) * gain + shift;
    y = y > 0.0f ? y : y * slope;
    const Vec steep = load(slopes + f) * (weight * y + bias);
    store(out + f, load(noisy + f) * 2.0f / (1.0f + exponential(-steep)));
  }
}

void direction(float* real, float* imag, int bins) {
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec re = load(real + f), im = load(imag + f);
    const Vec larger = maximum(maximum(re, -re), maximum(im, -im));
    // Scaled first, so that no square leaves the range of a float.
    const Vec inverse = 1.0f / maximum(larger, splat(1e-38f));
    const Vec x = re * inverse, y = im * inverse;
    const Vec length = square_root(x * x + y * y);
    const IntVec somewhere = larger >= 1e-38f;
    store(real + f, select(somewhere, x / length, splat(1.0f)));
    store(imag + f, select(somewhere, y / length, splat(0.0f)));
  }
}

#define TEXT(name) #name
#define NAME_OF(isa) TEXT(isa)

constexpr Kernels KERNELS = {
    NAME_OF(ISA), TALL,   product_kernel, inverse_deviation, row_statistics, normalise, depthwise,
    gated,        gather, attend,         winograd_input,    winograd_output, split,    interleave,
    mask,         direction};

}  // namespace

#define CONCATENATED(a, b) a##b
#define NAMED(isa) CONCATENATED(kernels_, isa)
const Kernels* NAMED(ISA)() { return &KERNELS; }
