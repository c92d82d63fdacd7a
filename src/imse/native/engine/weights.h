// The network's weights, as the passes over a segment want them: packed, and with what can be computed once computed.
#pragma once

#include <string>
#include <vector>

#include "../common/architecture.h"
#include "kernels.h"
#include "tensors.h"

namespace imse {

// A matrix [outputs, inputs], packed for some kernels.
struct Matrix {
  int outputs = 0, inputs = 0;
  std::vector<float> packed;

  Matrix() = default;
  Matrix(const Kernels& kernels, const float* weights, int outputs, int inputs);

  PackedMatrix view() const { return {packed.data(), outputs, inputs}; }
};

struct Convolution {
  Matrix weights;
  std::vector<float> bias;
};

// A 3x3 convolution by Winograd's F(4, 3) along time (Lavin and Gray, arXiv 1509.09308): six products over the three
// bins around each give four frames, where twelve would have been.
struct Winograd {
  Winograd() = default;
  Winograd(const Kernels& kernels, const float* weights, int outputs, int inputs);

  Matrix parts[WINOGRAD_PRODUCTS];
  std::vector<float> bias;
};

struct Norm {
  std::vector<float> weight, bias, slope;  // of the instance norm, and of the PReLU behind it
};

struct NormalisedConvolution {
  Convolution convolution;
  Norm norm;
};

struct DenseLayer {
  Winograd convolution;
  Norm norm;
};

struct Depthwise {
  DepthwiseKernel kernel = nullptr;
  int height = 0;
  std::vector<float> weights, bias;  // the bias may be empty

  const float* bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
};

struct Block {
  int hidden = 0;
  Convolution keys_values, queries_gate, projection;
  Depthwise lepe;
  Matrix project_in, project_out;
  std::vector<float> depthwise;
};

struct Stage {
  int channels = 0, level = 0;
  Matrix pointwise;
  Depthwise square, frequency, time;
  std::vector<Block> blocks;
};

struct Resampling {  // down or up
  Depthwise depthwise;
  Matrix pointwise;
};

struct Network {
  static constexpr int MAX_CHANNELS = 256, MAX_BLOCKS = 64, MAX_BINS = 1024;

  // Throws Error for sizes that the engine does not have and for tensors that do not fit them.
  Network(Tensors& tensors, int channels, int blocks, int bins);

  const Kernels& kernels;
  int channels, bins;
  NormalisedConvolution entry, halve;
  std::vector<DenseLayer> encoder, magnitude_dense, phase_dense;
  Stage stages[5];  // down, and up again
  Stage refine_magnitude, refine_phase;
  Resampling down1, down2, up2, up1;
  Matrix reduce2, reduce1, expand;
  Winograd magnitude_out, phase_out;
  Convolution mask, direction;
  Norm mask_norm, phase_norm;
  float mask_weight = 0, mask_bias = 0;
  std::vector<float> steepness;
  Depthwise doubled;
  // By level: cosines and sines of the angles along frequency, [2][ROTARY_PAIRS][bins].
  std::vector<float> frequency_rotation[LEVELS];
};

}  // namespace imse
