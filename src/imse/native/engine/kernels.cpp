// The kernels of one instruction set: compiled several times, with the flags of each and ISA set to its name.
// Nothing of the standard library is used here: its inline functions would be compiled for that instruction set, and
// the linker may then pick such a copy for code that has to run anywhere.
#include "kernels.h"

#include "../common/channel_norm.h"
#include "../common/functions.h"
#include "../common/product.h"
#include "../common/rotation.h"
#include "../common/simd.h"
#include "../common/spectrum.h"

namespace imse {
namespace ISA {
namespace {

template <bool BIAS, int RESIDUALS>
void product_with(const float* const* inputs, const PackedMatrix& matrix, const Epilogue& epilogue, Rows out) {
  const float* bias = epilogue.bias;
  const float *first = epilogue.residuals[0], *second = epilogue.residuals[1];
  product(inputs, matrix.inputs, out.bins, matrix.weights, matrix.outputs, [=](int m, int f, Vec sums) {
    const long at = m * out.stride + f;
    if constexpr (BIAS) sums += bias[m];
    if constexpr (RESIDUALS > 0) sums += load(first + at);
    if constexpr (RESIDUALS > 1) sums += load(second + at);
    store(out.data + at, sums);
  });
}

template <bool BIAS>
void product_with(const float* const* inputs, const PackedMatrix& matrix, Epilogue epilogue, Rows out) {
  const float*(&residuals)[2] = epilogue.residuals;
  if (!residuals[0]) residuals[0] = residuals[1], residuals[1] = nullptr;
  const auto chosen = !residuals[0]   ? product_with<BIAS, 0>
                      : !residuals[1] ? product_with<BIAS, 1>
                                      : product_with<BIAS, 2>;
  chosen(inputs, matrix, epilogue, out);
}

void product_kernel(const float* const* inputs, const PackedMatrix& matrix, const Epilogue& epilogue, Rows out) {
  if (epilogue.bias)
    product_with<true>(inputs, matrix, epilogue, out);
  else
    product_with<false>(inputs, matrix, epilogue, out);
}

void normalise_channels(ConstRows x, float* factors, Rows out) {
  for (int f = 0; f < x.bins; f += WIDTH) {
    const Vec factor = inverse_deviation(x, f);
    store(factors + f, factor);
    for (int c = 0; c < x.channels; c++) store(out.row(c) + f, load(x.row(c) + f) * factor);
  }
}

void scale(ConstRows x, const float* factors, Rows out) {
  for (int c = 0; c < x.channels; c++)
    for (int f = 0; f < x.bins; f += WIDTH) store(out.row(c) + f, load(x.row(c) + f) * load(factors + f));
}

void row_statistics(ConstRows x, float* out) {
  for (int c = 0; c < x.channels; c++) {
    const float* row = x.row(c);
    Vec sum = {};
    for (int f = 0; f < x.bins; f += WIDTH) sum += load(row + f);
    const float mean = total(sum) / static_cast<float>(x.bins);
    Vec squares = {};
    for (int f = 0; f < x.bins; f += WIDTH) {
      const Vec deviation = load(row + f) - mean;
      squares += deviation * deviation;
    }
    out[2 * c] = mean;
    out[2 * c + 1] = total(squares);
  }
}

void normalise(Rows x, const NormPReLU& norm) {
  for (int c = 0; c < x.channels; c++) {
    float* row = x.row(c);
    for (int f = 0; f < x.bins; f += WIDTH) {
      const Vec y = load(row + f) * norm.gain[c] + norm.shift[c];
      store(row + f, y > 0.0f ? y : y * norm.slope[c]);
    }
  }
}

// A depthwise convolution at WIDTH bins after the other. The sum over its rows comes first, for each of its taps along
// frequency, and only then are the taps' sums shifted: whatever the number of rows, nothing is read but once and
// aligned.
template <int ROWS, int TAPS>
class SlidingConvolution {
 public:
  SlidingConvolution(const float* const* rows, long at, const float* weights) {
    for (int t = 0; t < ROWS; t++) rows_[t] = rows[t] + at;
    IMSE_UNROLL for (int i = 0; i < ROWS * TAPS; i++) weights_[i] = splat(weights[i]);
    read(here_, 0);
  }

  // At the bins from f on: to be asked for one vector after the other. Reads the next ones, which at the end of the row
  // are the zeros behind it.
  IMSE_INLINE Vec at(int f) {
    constexpr int REACH = TAPS / 2;
    Vec after[TAPS];
    read(after, f + WIDTH);
    Vec sum = here_[REACH];
    add<0>(sum, after);
    IMSE_UNROLL for (int k = 0; k < TAPS; k++) before_[k] = here_[k], here_[k] = after[k];
    return sum;
  }

 private:
  IMSE_INLINE void read(Vec* sums, int f) const {
    IMSE_UNROLL for (int t = 0; t < ROWS; t++) {
      const Vec x = load(rows_[t] + f);
      IMSE_UNROLL for (int k = 0; k < TAPS; k++) sums[k] =
          t == 0 ? weights_[k] * x : sums[k] + weights_[t * TAPS + k] * x;
    }
  }

  template <int K>
  IMSE_INLINE void add(Vec& sum, const Vec* after) const {
    if constexpr (K < TAPS) {
      if constexpr (K < TAPS / 2) sum += lanes_from<WIDTH + K - TAPS / 2>(before_[K], here_[K]);
      if constexpr (K > TAPS / 2) sum += lanes_from<K - TAPS / 2>(here_[K], after[K]);
      add<K + 1>(sum, after);
    }
  }

  const float* rows_[ROWS];
  Vec weights_[ROWS * TAPS];
  Vec before_[TAPS] = {}, here_[TAPS];
};

template <int ROWS, int TAPS>
void depthwise_with(const float* const* frames, const float* weights, const float* bias, Rows out) {
  for (int c = 0; c < out.channels; c++, weights += ROWS * TAPS) {
    const float offset = bias ? bias[c] : 0.0f;
    SlidingConvolution<ROWS, TAPS> convolution(frames, c * out.stride, weights);
    for (int f = 0; f < out.bins; f += WIDTH) store(out.row(c) + f, convolution.at(f) + offset);
  }
}

// The band along frequency: more taps than there are registers to slide them through.
void depthwise_band(const float* const* frames, const float* weights, const float* bias, Rows out) {
  for (int c = 0; c < out.channels; c++, weights += BAND) {
    const float* row = frames[0] + c * out.stride - BAND / 2;
    for (int f = 0; f < out.bins; f += WIDTH) {
      Vec sum = splat(bias ? bias[c] : 0.0f);
      for (int k = 0; k < BAND; k++) sum += weights[k] * load(row + f + k);
      store(out.row(c) + f, sum);
    }
  }
}

DepthwiseKernel depthwise(int height, int width) {
  if (height == 3 && width == 3) return depthwise_with<3, 3>;
  if (height == LEPE_SIZE && width == LEPE_SIZE) return depthwise_with<LEPE_SIZE, LEPE_SIZE>;
  if (height == 1 && width == 3) return depthwise_with<1, 3>;
  if (height == BAND && width == 1) return depthwise_with<BAND, 1>;
  if (height == 1 && width == BAND) return depthwise_band;
  return nullptr;
}

void gated(const float* const* frames, const float* weights, Rows out) {
  const float* value_weights = weights + 9L * out.channels;
  const long apart = out.channels * out.stride;
  for (int c = 0; c < out.channels; c++, weights += 9, value_weights += 9) {
    float* row = out.row(c);
    SlidingConvolution<3, 3> gate(frames, c * out.stride, weights);
    for (int f = 0; f < out.bins; f += WIDTH) store(row + f, gate.at(f));
    SlidingConvolution<3, 3> value(frames, c * out.stride + apart, value_weights);
    for (int f = 0; f < out.bins; f += WIDTH) store(row + f, gelu(load(row + f)) * value.at(f));
  }
}

// Rotate the second half of a head's channels, in pairs, along frequency.
IMSE_INLINE void rotate_pairs(Vec* x, const float* rotation, int bins, int f) {
  for (int pair = 0; pair < ROTARY_PAIRS; pair++) {
    const Vec cosine = load(rotation + pair * bins + f), sine = load(rotation + (ROTARY_PAIRS + pair) * bins + f);
    rotate(x[2 * pair], x[2 * pair + 1], cosine, sine);
  }
}

// Sums over the bins of KEYS x VALUES products of rows.
template <int KEYS, int VALUES>
inline void outer_products(const float* keys, const float* values, int bins, long stride, float* sums) {
  constexpr int PRODUCTS = KEYS * VALUES;
  static_assert(PRODUCTS % WIDTH == 0);
  Vec products[PRODUCTS];
  IMSE_UNROLL for (int i = 0; i < PRODUCTS; i++) products[i] = Vec{};
  for (int f = 0; f < bins; f += WIDTH) {
    Vec value[VALUES];
    IMSE_UNROLL for (int j = 0; j < VALUES; j++) value[j] = load(values + j * stride + f);
    IMSE_UNROLL for (int i = 0; i < KEYS; i++) {
      const Vec key = load(keys + i * stride + f);
      IMSE_UNROLL for (int j = 0; j < VALUES; j++) products[i * VALUES + j] += key * value[j];
    }
  }
  float all[PRODUCTS];
  for (int i = 0; i < PRODUCTS; i += WIDTH) store(all + i, totals(products + i));
  for (int i = 0; i < PRODUCTS; i++) sums[i / VALUES * HEAD_SIZE + i % VALUES] = all[i];
}

void sum_keys_values(Rows keys, ConstRows values, const float* rotation, float* sums) {
  constexpr int KEYS = TALL / 2, VALUES = HEAD_SIZE / 2;  // KEYS * VALUES sums in registers
  for (int first = 0; first < keys.channels; first += HEAD_SIZE, sums += HEAD_SUMS) {
    Vec row_sums[2 * HEAD_SIZE];
    IMSE_UNROLL for (int i = 0; i < 2 * HEAD_SIZE; i++) row_sums[i] = Vec{};
    for (int f = 0; f < keys.bins; f += WIDTH) {
      Vec key[HEAD_SIZE];
      IMSE_UNROLL for (int i = 0; i < HEAD_SIZE; i++) {
        key[i] = elu_plus_one(load(keys.row(first + i) + f));
        row_sums[i] += key[i];
        row_sums[HEAD_SIZE + i] += load(values.row(first + i) + f);
      }
      rotate_pairs(key + HEAD_SIZE / 2, rotation, keys.bins, f);
      IMSE_UNROLL for (int i = 0; i < HEAD_SIZE; i++) store(keys.row(first + i) + f, key[i]);
    }
    for (int i = 0; i < 2 * HEAD_SIZE; i += WIDTH) store(sums + i, totals(row_sums + i));
    float* products = sums + 2 * HEAD_SIZE;
    for (int i = 0; i < HEAD_SIZE; i += KEYS)
      for (int j = 0; j < HEAD_SIZE; j += VALUES)
        outer_products<KEYS, VALUES>(keys.row(first + i), values.row(first + j), keys.bins, keys.stride,
                                     products + i * HEAD_SIZE + j);
  }
}

void attend(Rows queries, const float* context, const float* rotation, const float* lepe, const float* gate) {
  const long stride = queries.stride;
  for (int first = 0; first < queries.channels; first += HEAD_SIZE, context += HEAD_SUMS) {
    const float *keys = context, *values = context + HEAD_SIZE, *products = context + 2 * HEAD_SIZE;
    for (int f = 0; f < queries.bins; f += WIDTH) {
      const long at = first * stride + f;
      Vec query[HEAD_SIZE], magnitude = {};
      IMSE_UNROLL for (int i = 0; i < HEAD_SIZE; i++) {
        query[i] = elu_plus_one(load(queries.data + at + i * stride));
        magnitude += keys[i] * query[i];
      }
      rotate_pairs(query + HEAD_SIZE / 2, rotation, queries.bins, f);
      Vec sums[HEAD_SIZE];
      IMSE_UNROLL for (int j = 0; j < HEAD_SIZE; j++) sums[j] = products[j] * query[0];
      IMSE_UNROLL for (int i = HEAD_SIZE; i < HEAD_SIZE * HEAD_SIZE; i++) sums[i % HEAD_SIZE] +=
          products[i] * query[i / HEAD_SIZE];
      const Vec sharpening = 1.0f + reciprocal(magnitude + ATTENTION_EPSILON);
      IMSE_UNROLL for (int j = 0; j < HEAD_SIZE; j++) {
        const Vec attended = sums[j] * sharpening - magnitude * values[j];
        const long place = at + j * stride;
        store(queries.data + place, (attended + load(lepe + place)) * load(gate + place));
      }
    }
  }
}

void winograd_input(const float* const* frames, long floats, float* out, long apart) {
  for (long i = 0; i < floats; i += WIDTH) {
    Vec x[WINOGRAD_PRODUCTS];
    for (int t = 0; t < WINOGRAD_PRODUCTS; t++) x[t] = load(frames[t] + i);
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

void winograd_output(ConstRows products, long apart, const float* bias, const float* const* residual,
                     float* const* out) {
  for (int c = 0; c < products.channels; c++) {
    const Vec offset = splat(bias ? bias[c] : 0.0f);
    for (int f = 0; f < products.bins; f += WIDTH) {
      const long at = c * products.stride + f;
      Vec m[WINOGRAD_PRODUCTS];
      for (int i = 0; i < WINOGRAD_PRODUCTS; i++) m[i] = load(products.data + i * apart + at);
      const Vec near = m[1] + m[2], far = m[3] + m[4], nearer = m[1] - m[2], farther = m[3] - m[4];
      const Vec y[WINOGRAD_OUTPUTS] = {m[0] + near + far, nearer + 2.0f * farther, near + 4.0f * far,
                                       nearer + 8.0f * farther + m[5]};
      for (int t = 0; t < WINOGRAD_OUTPUTS; t++)
        if (out[t]) store(out[t] + at, y[t] + offset + (residual ? load(residual[t] + at) : Vec{}));
    }
  }
}

void split(ConstRows x, Rows even, Rows odd) {
  for (int c = 0; c < x.channels; c++) {
    const float* row = x.row(c);
    float *even_row = even.row(c), *odd_row = odd.row(c);
    for (int f = 0; f < even.bins; f++) even_row[f] = row[2 * f], odd_row[f] = row[2 * f + 1];
  }
}

void interleave(ConstRows even, ConstRows odd, Rows out) {
  for (int c = 0; c < out.channels; c++) {
    const float *even_row = even.row(c), *odd_row = odd.row(c);
    float* row = out.row(c);
    for (int f = 0; f < even.bins; f++) row[2 * f] = even_row[f], row[2 * f + 1] = odd_row[f];
  }
}

void apply_mask(const float* x, const float* noisy, const Mask& mask, int bins, float* out) {
  for (int f = 0; f < bins; f += WIDTH) {
    Vec y = load(x + f) * mask.gain + mask.shift;
    y = y > 0.0f ? y : y * mask.slope;
    const Vec logit = load(mask.steepness + f) * (mask.weight * y + mask.bias);
    store(out + f, load(noisy + f) * MASK_CEILING / (1.0f + exponential(-logit)));
  }
}

void compress(const float* real, const float* imag, const float* sides, int bins, float* magnitude, float* phase) {
  // The smallest power that is not taken for zero, see FlushDenormals.
  constexpr float SMALLEST = __FLT_MIN__;
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec re = load(real + f), im = load(imag + f), power = re * re + im * im;
    const Vec root = exponential(COMPRESSION / 2 * logarithm(maximum(power, splat(SMALLEST))));
    store(magnitude + f, select(power >= SMALLEST, root, Vec{}));
    store(phase + f, angle(im, re, load(sides + f)));
  }
}

void expand(const float* magnitude, const float* scale, int bins, float* real, float* imag) {
  constexpr float SMALLEST = __FLT_MIN__;
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec compressed = load(magnitude + f);
    const Vec root = exponential(1 / COMPRESSION * logarithm(maximum(compressed, splat(SMALLEST))));
    const Vec length = load(scale + f) * select(compressed >= SMALLEST, root, Vec{});
    store(real + f, load(real + f) * length);
    store(imag + f, load(imag + f) * length);
  }
}

void direction(float* real, float* imag, int bins) {
  // The smallest number that is not taken for zero, see FlushDenormals.
  constexpr float SMALLEST = __FLT_MIN__;
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec re = load(real + f), im = load(imag + f);
    const Vec larger = maximum(maximum(re, -re), maximum(im, -im));
    // Scaled first, so that no square leaves the range of a float.
    const Vec inverse = 1.0f / maximum(larger, splat(SMALLEST));
    const Vec x = re * inverse, y = im * inverse;
    const Vec length = square_root(x * x + y * y);
    const IntVec somewhere = larger >= SMALLEST;
    store(real + f, select(somewhere, x / length, splat(1.0f)));
    store(imag + f, select(somewhere, y / length, splat(0.0f)));
  }
}

double multiply_accumulate(long rounds) {
  constexpr int SUMS = 10;  // as many as hide the latency of an instruction
  Vec sums[SUMS];
  for (int i = 0; i < SUMS; i++) sums[i] = splat(static_cast<float>(i));
  const Vec factor = splat(rounds < 0 ? 2.0f : 0.5f);  // not known to the compiler
  for (long round = 0; round < rounds; round++) {
    IMSE_UNROLL for (int i = 0; i < SUMS; i++) sums[i] = sums[i] * factor + factor;
  }
  float all = 0;
  for (const Vec& sum : sums) all += total(sum);
  const volatile float sink = all;  // so that nothing is left out
  static_cast<void>(sink);
  return static_cast<double>(rounds) * SUMS * WIDTH;
}

#define TEXT(name) #name
#define NAME_OF(isa) TEXT(isa)

constexpr Kernels KERNELS = {
    NAME_OF(ISA),        TALL,      product_kernel, normalise_channels, scale,    row_statistics,
    normalise,           depthwise, gated,          sum_keys_values,    attend,   winograd_input,
    winograd_output,     split,     interleave,     apply_mask,         compress, expand,
    multiply_accumulate, direction};

}  // namespace
}  // namespace ISA

#define CONCATENATED(a, b) a##b
#define NAMED(isa) CONCATENATED(kernels_, isa)
const Kernels& NAMED(ISA)() { return ISA::KERNELS; }

}  // namespace imse
