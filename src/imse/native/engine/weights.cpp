#include "weights.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "../common/error.h"
#include "../common/packing.h"

namespace imse {

Matrix::Matrix(const Kernels& kernels, const float* weights, int outputs, int inputs)
    : outputs(outputs), inputs(inputs), packed(static_cast<size_t>(outputs) * inputs) {
  pack(
      kernels.tall, outputs, inputs, [=](long m, int k) { return weights[m * inputs + k]; }, packed.data());
}

Winograd::Winograd(const Kernels& kernels, const float* weights, int outputs, int inputs) {
  std::vector<float> transformed[WINOGRAD_PRODUCTS];
  for (auto& part : transformed) part.reserve(3L * outputs * inputs);
  for (long i = 0; i < static_cast<long>(outputs) * inputs; i++)
    for (int tap = 0; tap < 3; tap++) {
      const double before = weights[9 * i + tap], at = weights[9 * i + 3 + tap], after = weights[9 * i + 6 + tap];
      const double values[WINOGRAD_PRODUCTS] = {before / 4,
                                                -(before + at + after) / 6,
                                                -(before - at + after) / 6,
                                                (before + 2 * at + 4 * after) / 24,
                                                (before - 2 * at + 4 * after) / 24,
                                                after};
      for (int part = 0; part < WINOGRAD_PRODUCTS; part++)
        transformed[part].push_back(static_cast<float>(values[part]));
    }
  for (int part = 0; part < WINOGRAD_PRODUCTS; part++)
    parts[part] = Matrix(kernels, transformed[part].data(), outputs, 3 * inputs);
}

namespace {

// Takes a network's layers out of its tensors, one after another.
class Reader {
 public:
  Reader(Tensors& tensors, const Kernels& kernels) : tensors_(tensors), kernels_(kernels) {}

  const float* find(const std::string& name, const Tensors::Shape& shape) const { return tensors_.find(name, shape); }

  std::vector<float> vector(const std::string& name, long size) const { return tensors_.copy(name, {size}); }

  float number(const std::string& name, const Tensors::Shape& shape) const { return *find(name, shape); }

  Matrix pack(const float* weights, int outputs, int inputs) const { return {kernels_, weights, outputs, inputs}; }

  // A 1x1 convolution without its bias.
  Matrix matrix(const std::string& name, int outputs, int inputs) const {
    return pack(find(name + ".weight", {outputs, inputs, 1, 1}), outputs, inputs);
  }

  Norm norm(const std::string& norm, const std::string& prelu, int channels) const {
    return {vector(norm + ".weight", channels), vector(norm + ".bias", channels), vector(prelu + ".weight", channels)};
  }

  // Convolution over `taps` bins, norm and PReLU.
  NormalisedConvolution normalised(const std::string& name, int inputs, int outputs, int taps) const {
    const float* weights = find(name + ".0.weight", {outputs, inputs, 1, taps});
    return {{pack(weights, outputs, inputs * taps), vector(name + ".0.bias", outputs)},
            norm(name + ".1", name + ".2", outputs)};
  }

  Winograd winograd(const std::string& name, int outputs, int inputs) const {
    return {kernels_, find(name + ".weight", {outputs, inputs, 3, 3}), outputs, inputs};
  }

  std::vector<DenseLayer> dense(const std::string& name, int channels) const {
    std::vector<DenseLayer> layers;
    for (int i = 0; i < DENSE_DEPTH; i++) {
      const std::string layer = name + ".layers." + std::to_string(i);
      Winograd convolution = winograd(layer + ".0", channels, channels * (i + 1));
      convolution.bias = vector(layer + ".0.bias", channels);
      layers.push_back({std::move(convolution), norm(layer + ".1", layer + ".2", channels)});
    }
    return layers;
  }

  Depthwise depthwise(const std::string& name, int channels, int height, int width, bool bias) const {
    const DepthwiseKernel kernel = kernels_.depthwise(height, width);
    if (!kernel) throw std::logic_error("no kernel for the depthwise convolution '" + name + "'");
    return {kernel, height, tensors_.copy(name + ".weight", {channels, 1, height, width}),
            bias ? vector(name + ".bias", channels) : std::vector<float>()};
  }

  Resampling resampling(const std::string& name, int inputs, int outputs) const {
    return {depthwise(name + ".0", inputs, 3, 3, false), matrix(name + ".1", outputs, inputs)};
  }

  Block block(const std::string& name, int c) const {
    Block block;
    // The norm's weights go into the products behind it, of which it has two.
    const auto scaled = [&](const float* weights, const float* scale, int outputs) {
      std::vector<float> product(static_cast<size_t>(outputs) * c);
      for (long m = 0; m < outputs; m++)
        for (int k = 0; k < c; k++) product[m * c + k] = weights[m * c + k] * scale[k];
      return pack(product.data(), outputs, c);
    };
    const long square = static_cast<long>(c) * c, all = 4L * c;
    const float* weights = find(name + ".attention.qkvo.weight", {all, c, 1, 1});
    const float* bias = find(name + ".attention.qkvo.bias", {all});
    const float* scale = find(name + ".norm1.weight", {c});
    block.keys_values = {scaled(weights + square, scale, 2 * c), {bias + c, bias + 3L * c}};
    std::vector<float> outer(weights, weights + square), outer_bias(bias, bias + c);
    outer.insert(outer.end(), weights + 3 * square, weights + 4 * square);
    outer_bias.insert(outer_bias.end(), bias + 3L * c, bias + all);
    block.queries_gate = {scaled(outer.data(), scale, 2 * c), outer_bias};
    block.lepe = depthwise(name + ".attention.lepe", c, LEPE_SIZE, LEPE_SIZE, true);
    block.projection = {matrix(name + ".attention.proj", c, c), vector(name + ".attention.proj.bias", c)};
    const int hidden = block.hidden = static_cast<int>(FEED_FORWARD_FACTOR * c);
    block.project_in = scaled(find(name + ".ffn.project_in.weight", {2L * hidden, c, 1, 1}),
                              find(name + ".norm2.weight", {c}), 2 * hidden);
    block.depthwise = tensors_.copy(name + ".ffn.depthwise.weight", {2L * hidden, 1, 3, 3});
    block.project_out = matrix(name + ".ffn.project_out", c, hidden);
    return block;
  }

  Stage stage(const std::string& name, int channels, int level, int blocks) const {
    Stage stage;
    const int c = stage.channels = channels * (level + 1), g = c / BRANCH_DIVISOR;
    stage.level = level;
    const std::string embedding = name + ".embedding.";
    stage.pointwise = matrix(embedding + "pointwise", c, c);
    stage.square = depthwise(embedding + "square", g, 3, 3, true);
    stage.frequency = depthwise(embedding + "frequency", g, 1, BAND, true);
    stage.time = depthwise(embedding + "time", g, BAND, 1, true);
    for (int i = 0; i < blocks; i++) stage.blocks.push_back(block(name + ".blocks." + std::to_string(i), c));
    return stage;
  }

  // The expansion's outputs at even frames, those of even bins first: [2c, c].
  std::vector<float> even_frames(const std::string& name, int c) const {
    const float* weights = find(name + ".expand.weight", {4L * c, c, 1, 1});
    std::vector<float> even(2UL * c * c);
    for (int side = 0; side < 2; side++)
      for (int k = 0; k < c; k++)
        std::copy_n(weights + (4L * k + side) * c, c, even.begin() + (static_cast<long>(side) * c + k) * c);
    return even;
  }

  // Expansion, depthwise convolution and the merge to one channel are linear and have nothing in between: together
  // they are one convolution with three taps to an even and an odd bin.
  Convolution merged_mask(int c) const {
    const std::vector<float> even = even_frames("magnitude_decoder.expand", c);
    const float* taps = find("magnitude_decoder.expand.depthwise.weight", {c, 1, 1, 3});
    const float* merge = find("magnitude_decoder.merge.weight", {1, c, 1, 1});
    std::vector<double> sums(6UL * c);
    for (int parity = 0; parity < 2; parity++)
      for (int tap = 0; tap < 3; tap++) {
        // Bin 2f + parity + tap - 1 of the doubled row: side of the expansion, and bin before, at or after f.
        const int bin = parity + tap - 1, side = bin & 1, step = (bin - side) / 2;
        for (int k = 0; k < c; k++)
          for (int i = 0; i < c; i++)
            sums[(static_cast<long>(parity) * c + i) * 3 + step + 1] +=
                static_cast<double>(merge[k]) * taps[3L * k + tap] * even[(static_cast<long>(side) * c + k) * c + i];
      }
    const std::vector<float> merged(sums.begin(), sums.end());
    const float bias = number("magnitude_decoder.merge.bias", {1});
    return {pack(merged.data(), 2, 3 * c), {bias, bias}};
  }

 private:
  Tensors& tensors_;
  const Kernels& kernels_;
};

// Cosines and sines of the angles along frequency, [2][ROTARY_PAIRS][bins].
std::vector<float> rotation_of_bins(int bins) {
  std::vector<float> rotation(2UL * ROTARY_PAIRS * bins);
  for (long pair = 0; pair < ROTARY_PAIRS; pair++)
    for (int f = 0; f < bins; f++) {
      const float angle = ROTARY_SPEEDS[pair] * static_cast<float>(f);
      rotation[pair * bins + f] = std::cos(angle);
      rotation[(ROTARY_PAIRS + pair) * bins + f] = std::sin(angle);
    }
  return rotation;
}

}  // namespace

Network::Network(Tensors& tensors, int channels, int blocks, int bins)
    : kernels(chosen_kernels()), channels(channels), bins(bins) {
  const auto check = [](bool fine, const std::string& rule) {
    if (!fine) throw Error(IMSE_UNSUPPORTED_WEIGHTS, "the compiled engine needs " + rule);
  };
  check(channels >= HEAD_SIZE && channels % HEAD_SIZE == 0 && channels <= MAX_CHANNELS,
        "channels in a multiple of " + std::to_string(HEAD_SIZE) + " up to " + std::to_string(MAX_CHANNELS));
  check(blocks >= 1 && blocks <= MAX_BLOCKS, "1 to " + std::to_string(MAX_BLOCKS) + " blocks");
  check(bins >= BINS_MULTIPLE && bins % BINS_MULTIPLE == 0 && bins <= MAX_BINS,
        "bins in a multiple of " + std::to_string(BINS_MULTIPLE) + " up to " + std::to_string(MAX_BINS));
  const int c = channels;
  const Reader read(tensors, kernels);
  entry = read.normalised("encoder.entry", 2, c, 1);
  encoder = read.dense("encoder.dense", c);
  halve = read.normalised("encoder.halve", c, c, 3);
  const char* names[] = {"encoder1", "encoder2", "latent", "decoder2", "decoder1"};
  const int levels[] = {0, 1, 2, 1, 0};
  for (int i = 0; i < 5; i++) stages[i] = read.stage(std::string("unet.") + names[i], c, levels[i], blocks);
  refine_magnitude = read.stage("unet.refine_magnitude", c, 0, blocks);
  refine_phase = read.stage("unet.refine_phase", c, 0, blocks);
  down1 = read.resampling("unet.down1", c, c / 2);
  down2 = read.resampling("unet.down2", 2 * c, 3 * c / 4);
  up2 = read.resampling("unet.up2", 3 * c, 8 * c);
  up1 = read.resampling("unet.up1", 2 * c, 4 * c);
  reduce2 = read.matrix("unet.reduce2", 2 * c, 4 * c);
  reduce1 = read.matrix("unet.reduce1", c, 2 * c);
  magnitude_out = read.winograd("unet.magnitude_out", c, c);
  phase_out = read.winograd("unet.phase_out", c, c);

  magnitude_dense = read.dense("magnitude_decoder.dense", c);
  mask = read.merged_mask(c);
  mask_norm = read.norm("magnitude_decoder.norm", "magnitude_decoder.prelu", 1);
  mask_weight = read.number("magnitude_decoder.out.weight", {1, 1, 1, 1});
  mask_bias = read.number("magnitude_decoder.out.bias", {1});
  steepness = tensors.copy("magnitude_decoder.sigmoid.slope", {bins, 1});
  phase_dense = read.dense("phase_decoder.dense", c);
  expand = read.pack(read.even_frames("phase_decoder.expand", c).data(), 2 * c, c);
  doubled = read.depthwise("phase_decoder.expand.depthwise", c, 1, 3, false);
  phase_norm = read.norm("phase_decoder.norm", "phase_decoder.prelu", c);
  std::vector<float> both = tensors.copy("phase_decoder.real.weight", {1, c, 1, 1});
  const float* imag = read.find("phase_decoder.imag.weight", {1, c, 1, 1});
  both.insert(both.end(), imag, imag + c);
  direction.weights = read.pack(both.data(), 2, c);
  direction.bias = {read.number("phase_decoder.real.bias", {1}), read.number("phase_decoder.imag.bias", {1})};
  tensors.expect_all_used();

  for (int level = 0; level < LEVELS; level++) frequency_rotation[level] = rotation_of_bins(bins / 2 >> level);
}

}  // namespace imse
