// What is computed on one frame of a map, in the best version for the processor at hand.
//
// A map is [frames][channels][stride]: a frame is a block of rows, a row holds the bins of one channel and at least
// eight zeros behind it, which are also the zeros in front of the next one: convolutions along frequency read
// beyond their row's ends. `bins` is a multiple of 16 throughout.
#pragma once

#include "../common/architecture.h"
#include "../common/rows.h"

namespace imse {

// Attention sums of a head: of keys, of values, of keys by values.
constexpr int HEAD_SUMS = 2 * HEAD_SIZE + HEAD_SIZE * HEAD_SIZE;

// Winograd's F(4, 3): four frames of a convolution with three taps from six frames, by six products.
constexpr int WINOGRAD_OUTPUTS = 4, WINOGRAD_PRODUCTS = 6;

// A matrix [outputs, inputs] as packing.h packs it.
struct PackedMatrix {
  const float* weights;
  int outputs, inputs;
};

// What follows a matrix product, in this order; null is left out. Rows of the residuals are as far apart as those of
// the result.
struct Epilogue {
  const float* bias = nullptr;  // of the outputs
  const float* residuals[2] = {nullptr, nullptr};
};

// Instance norm and PReLU: PReLU(x * gain + shift), each [channels].
struct NormPReLU {
  const float *gain, *shift, *slope;
};

// How the magnitude decoder ends: noisy * MASK_CEILING * sigmoid(steepness * (weight * PReLU(x * gain + shift) +
// bias)).
struct Mask {
  float gain, shift, slope, weight, bias;
  const float* steepness;  // of the bins
};

// Depthwise convolution over the frames around one, whose rows are as far apart as those of `out`. `weights` are
// [channels][height][width], `bias` [channels] or null.
using DepthwiseKernel = void (*)(const float* const* frames, const float* weights, const float* bias, Rows out);

struct Kernels {
  // Of the instruction set.
  const char* name;

  // Outputs that a packed matrix holds together, see packing.h.
  int tall;

  // out[m] = sum over k of matrix[m, k] * inputs[k].
  void (*product)(const float* const* inputs, const PackedMatrix& matrix, const Epilogue& epilogue, Rows out);

  // ChannelNorm without its weight: out = x * factors, the factors of the bins being
  // 1 / sqrt(variance over channels + NORM_EPSILON).
  void (*normalise_channels)(ConstRows x, float* factors, Rows out);
  void (*scale)(ConstRows x, const float* factors, Rows out);

  // Mean of each row, and the sum of the squared distances from it: [channels][2].
  void (*row_statistics)(ConstRows x, float* out);

  // In place.
  void (*normalise)(Rows x, const NormPReLU& norm);

  // The convolution with a kernel of this size; null for one that the network does not have.
  DepthwiseKernel (*depthwise)(int height, int width);

  // Depthwise 3x3 convolution of the frames' 2 * out.channels rows, then GELU(first half) * second half.
  void (*gated)(const float* const* frames, const float* weights, Rows out);

  // MALA, first pass over one frame: keys (before the feature map) and values. `rotation` holds the cosines and sines
  // of the angles along frequency, [2][ROTARY_PAIRS][bins]. Writes HEAD_SUMS per head: the sums over the bins of keys
  // and of values, and of key[i] * value[j] with the keys rotated along frequency only; `keys` is scratch from then on.
  void (*sum_keys_values)(Rows keys, ConstRows values, const float* rotation, float* sums);

  // MALA, second pass over one frame: queries (before the feature map) become (attended + lepe) * gate, whose rows are
  // as far apart. `context` are HEAD_SUMS per head: means of keys times HEAD_SIZE^-1/2, means of values, keys by values
  // times HEAD_SIZE^-1/2 / N with the keys rotated back along time by this frame's angle.
  void (*attend)(Rows queries, const float* context, const float* rotation, const float* lepe, const float* gate);

  // Winograd's F(4, 3) along time: frames t - d, t, ... t + 4d to six blocks `apart` from each other, and the products
  // of those to the frames t, ... t + 3d, plus `bias` per output and `residual` (may be null), where `out` is not null.
  void (*winograd_input)(const float* const* frames, long floats, float* out, long apart);
  void (*winograd_output)(ConstRows products, long apart, const float* bias, const float* const* residual,
                          float* const* out);

  // Even and odd bins apart, and together.
  void (*split)(ConstRows x, Rows even, Rows odd);
  void (*interleave)(ConstRows even, ConstRows odd, Rows out);

  // Of one row.
  void (*mask)(const float* x, const float* noisy, const Mask& mask, int bins, float* out);

  // Numbers real + i imag as their magnitude to the power of COMPRESSION and their phase in radians, of one row.
  // Whether a negative number has phase pi or -pi is up to the sign of `sides`, which are tiny numbers.
  void (*compress)(const float* real, const float* imag, const float* sides, int bins, float* magnitude, float* phase);

  // The other way round: (real, imag) of length 1 to that of the compressed magnitude, times `scale` of the bins.
  void (*expand)(const float* magnitude, const float* scale, int bins, float* real, float* imag);

  // For benchmarks: multiply-accumulates in registers, as fast as the processor can. Returns how many they are.
  double (*multiply_accumulate)(long rounds);

  // (real, imag) to length 1, in place; (1, 0) where both are zero.
  void (*direction)(float* real, float* imag, int bins);
};

const Kernels& kernels_baseline();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();

// The kernels that this process uses: the best ones for its processor, or those that the environment variable
// IMSE_KERNELS names. Throws Error where it names others, or some that the processor does not have.
const Kernels& chosen_kernels();

}  // namespace imse
