// The network's weights, as the passes over a segment want them: packed, and with what can be computed once computed.

#pragma once

#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels.h"

// The best kernels for this processor.
extern const Kernels& kernels;

constexpr int HEAD = 8;         // channels of an attention head
constexpr int BAND = 11;        // taps of IDConv's bands
constexpr int DENSE_DEPTH = 4;  // layers of a dense block

// Speeds of the rotary embedding's two pairs along each axis, in radians per position.
constexpr float SPEEDS[] = {1.0f, 1e-4f};

class Tensors {
 public:
  Tensors(const char* const* names, const float* const* values, const long* sizes, int count) {
    for (int i = 0; i < count; i++) tensors_[names[i]] = {values[i], sizes[i]};
  }

  const float* find(const std::string& name, long size) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::runtime_error("no tensor '" + name + "'");
    if (found->second.second != size)
      throw std::runtime_error("tensor '" + name + "' has " + std::to_string(found->second.second) + " values, not " +
                               std::to_string(size));
    return found->second.first;
  }

  std::vector<float> copy(const std::string& name, long size) const {
    const float* values = find(name, size);
    return {values, values + size};
  }

 private:
  std::unordered_map<std::string, std::pair<const float*, long>> tensors_;
};

// A matrix [outputs, inputs], packed as product.h wants it.
struct Matrix {
  int outputs = 0, inputs = 0;
  std::vector<float> packed;

  Matrix() = default;
  Matrix(const float* weights, int outputs, int inputs);
};

struct Convolution {
  Matrix weights;
  std::vector<float> bias;
};

// A 3x3 convolution by Winograd's F(4, 3) along time (Lavin and Gray, arXiv 1509.09308): six products over the three
// bins around each give four frames, where twelve would have been.
struct Winograd {
  Winograd() = default;
  Winograd(const float* weights, int outputs, int inputs);

  Matrix parts[6];
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
  int height = 0, width = 0;
  std::vector<float> weights, bias;
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
  Network(const Tensors& tensors, int channels, int blocks, int bins);

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
  float mask_weight, mask_bias;
  std::vector<float> slopes;
  Depthwise doubled;
  // By level: rows of cosines and sines of the turn along frequency, [2][2 pairs][bins].
  std::vector<float> turn_along_frequency[3];
};
