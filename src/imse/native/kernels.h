// What is computed on one frame of a map, in the best version for the processor at hand.
//
// A map is [frames][channels][stride]: a frame is a block of rows, a row holds the bins of one channel and at least
// eight zeros behind it, which are also the zeros in front of the next one: convolutions along frequency read
// beyond their row's ends. `bins` is a multiple of 16 throughout. Rows of different channels are `stride` apart.

#pragma once

struct Kernels {
  // Of the instruction set.
  const char* name;

  // Outputs that a packed matrix holds together, see product.h.
  int tall;

  // out[m] = sum over k of weights[m, k] * rows[k], times `scale` per bin, plus `bias` per output, plus `residual` and
  // `residual2`; null leaves out what is null.
  void (*product)(const float* const* rows, int inputs, const float* weights, int outputs, int bins, const float* scale,
                  const float* bias, const float* residual, const float* residual2, float* out, int stride);

  // 1 / sqrt(variance over channels + 1e-5) per bin.
  void (*inverse_deviation)(const float* x, int channels, int bins, int stride, float* out);

  // Mean of each channel over the bins of a row, and the sum of the squared distances from it: [channels][2].
  void (*row_statistics)(const float* x, int channels, int bins, int stride, float* out);

  // In place: PReLU of x * gain + shift, all per channel.
  void (*normalise)(float* x, int channels, int bins, int stride, const float* gain, const float* shift,
                    const float* slope);

  // Depthwise convolution with [height][width] taps per channel of the frames `rows[height]`, odd width, plus bias.
  void (*depthwise)(const float* const* rows, int height, int width, const float* weights, const float* bias,
                    int channels, int bins, int stride, float* out);

  // Depthwise 3x3 convolution of 2 * hidden channels, then GELU(first half) * second half.
  void (*gated)(const float* const* rows, const float* weights, int hidden, int bins, int stride, float* out);

  // MALA, first pass over one frame: keys (before the feature map) and values, [heads * 8] rows each. `turn` holds cosine
  // and sine rows [2][2][bins] of the turn along frequency. Writes per head the sums over the bins of keys [8], of values
  // [8] and of key[i] * value[j] [8][8], the first four keys not yet turned along time; `keys` is scratch from then on.
  void (*gather)(float* keys, const float* values, const float* turn, int heads, int bins, int stride, float* sums);

  // MALA, second pass over one frame: queries (before the feature map) become (attended + lepe) * gate. `context` is
  // per head [8] means of keys times 8^-1/2, [8] means of values, [8][8] keys by values times 8^-1/2 / N, turned back
  // along time by this frame's angle.
  void (*attend)(float* queries, const float* context, const float* turn, const float* lepe, const float* gate, int heads,
                 int bins, int stride);

  // Winograd's F(4, 3) along time: frames t - d, t, ... t + 4d to six blocks `apart` from each other, and the products of
  // those to the frames t, ... t + 3d, plus `bias` per output and `residual` (may be null), where `out` is not null.
  void (*winograd_input)(const float* const* frames, long floats, float* out, long apart);
  void (*winograd_output)(const float* sums, long apart, int channels, int bins, int stride, const float* bias,
                          const float* const* residual, float* const* out);

  // Even and odd bins of rows of 2 * bins into rows of `bins`, and back.
  void (*split)(const float* x, int channels, int bins, int stride, float* even, float* odd, int split_stride);
  void (*interleave)(const float* even, const float* odd, int channels, int bins, int stride, float* out,
                     int out_stride);

  // noisy * 2 sigmoid(slope * (weight * PReLU(x * gain + shift) + bias)), of one row.
  void (*mask)(const float* x, const float* noisy, const float* slopes, int bins, const float* constants, float* out);

  // (real, imag) to length 1, in place; (1, 0) where both are zero.
  void (*direction)(float* real, float* imag, int bins);
};

const Kernels* kernels_baseline();
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
