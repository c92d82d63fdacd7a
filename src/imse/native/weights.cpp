#include "weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace {

// The environment variable IMSE_KERNELS asks for less than the best, to test and to compare: "avx2" or "baseline".
const Kernels& best_kernels() {
#if defined(__x86_64__)
  const char* variable = std::getenv("IMSE_KERNELS");
  const std::string wanted = variable ? variable : "";
  __builtin_cpu_init();
  if (wanted.empty() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return *kernels_avx512();
  if (wanted != "baseline" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return *kernels_avx2();
#endif
  return *kernels_baseline();
}

}  // namespace

const Kernels& kernels = best_kernels();

Matrix::Matrix(const float* weights, int outputs, int inputs) : outputs(outputs), inputs(inputs) {
  packed.reserve(static_cast<size_t>(outputs) * inputs);
  for (int first = 0; first < outputs;) {
    int group = kernels.tall;
    while (group > outputs - first) group /= 2;
    for (int k = 0; k < inputs; k++)
      for (int m = 0; m < group; m++) packed.push_back(weights[(first + m) * static_cast<long>(inputs) + k]);
    first += group;
  }
}

Winograd::Winograd(const float* weights, int outputs, int inputs) {
  std::vector<float> transformed[6];
  for (auto& part : transformed) part.reserve(3L * outputs * inputs);
  for (long i = 0; i < static_cast<long>(outputs) * inputs; i++)
    for (int tap = 0; tap < 3; tap++) {
      const double before = weights[9 * i + tap], at = weights[9 * i + 3 + tap], after = weights[9 * i + 6 + tap];
      const double values[] = {before / 4,
                               -(before + at + after) / 6,
                               -(before - at + after) / 6,
                               (before + 2 * at + 4 * after) / 24,
                               (before - 2 * at + 4 * after) / 24,
                               after};
      for (int part = 0; part < 6; part++) transformed[part].push_back(static_cast<float>(values[part]));
    }
  for (int part = 0; part < 6; part++) parts[part] = Matrix(transformed[part].data(), outputs, 3 * inputs);
}

namespace {

Norm norm(const Tensors& tensors, const std::string& norm, const std::string& prelu, int channels) {
  return {tensors.copy(norm + ".weight", channels), tensors.copy(norm + ".bias", channels),
          tensors.copy(prelu + ".weight", channels)};
}

NormalisedConvolution normalised(const Tensors& tensors, const std::string& name, int inputs, int outputs,
                                        int taps) {
  const long count = static_cast<long>(inputs) * outputs * taps;
  return {{Matrix(tensors.find(name + ".0.weight", count), outputs, inputs * taps),
           tensors.copy(name + ".0.bias", outputs)},
          norm(tensors, name + ".1", name + ".2", outputs)};
}

std::vector<DenseLayer> dense(const Tensors& tensors, const std::string& name, int channels) {
  std::vector<DenseLayer> layers;
  for (int i = 0; i < DENSE_DEPTH; i++) {
    const std::string layer = name + ".layers." + std::to_string(i);
    const int inputs = channels * (i + 1);
    Winograd convolution(tensors.find(layer + ".0.weight", 9L * inputs * channels), channels, inputs);
    convolution.bias = tensors.copy(layer + ".0.bias", channels);
    layers.push_back({std::move(convolution), norm(tensors, layer + ".1", layer + ".2", channels)});
  }
  return layers;
}

Depthwise depthwise(const Tensors& tensors, const std::string& name, int channels, int height, int width,
                           bool bias) {
  return {height, width, tensors.copy(name + ".weight", static_cast<long>(channels) * height * width),
          bias ? tensors.copy(name + ".bias", channels) : std::vector<float>()};
}

Resampling resampling(const Tensors& tensors, const std::string& name, int inputs, int outputs) {
  return {depthwise(tensors, name + ".0", inputs, 3, 3, false),
          Matrix(tensors.find(name + ".1.weight", static_cast<long>(inputs) * outputs), outputs, inputs)};
}

Block block(const Tensors& tensors, const std::string& name, int c) {
  Block block;
  // The norm's weights go into the products behind it, of which it has two.
  const auto scaled = [&](const float* weights, const float* scale, int outputs) {
    std::vector<float> product(static_cast<size_t>(outputs) * c);
    for (int m = 0; m < outputs; m++)
      for (int k = 0; k < c; k++) product[m * c + k] = weights[m * c + k] * scale[k];
    return Matrix(product.data(), outputs, c);
  };
  const long square = static_cast<long>(c) * c;
  const float* weights = tensors.find(name + ".attention.qkvo.weight", 4 * square);
  const float* bias = tensors.find(name + ".attention.qkvo.bias", 4 * c);
  const float* scale = tensors.find(name + ".norm1.weight", c);
  block.keys_values = {scaled(weights + square, scale, 2 * c), {bias + c, bias + 3 * c}};
  std::vector<float> outer(weights, weights + square), outer_bias(bias, bias + c);
  outer.insert(outer.end(), weights + 3 * square, weights + 4 * square);
  outer_bias.insert(outer_bias.end(), bias + 3 * c, bias + 4 * c);
  block.queries_gate = {scaled(outer.data(), scale, 2 * c), outer_bias};
  block.lepe = depthwise(tensors, name + ".attention.lepe", c, 5, 5, true);
  block.projection = {Matrix(tensors.find(name + ".attention.proj.weight", square), c, c),
                      tensors.copy(name + ".attention.proj.bias", c)};
  const int hidden = block.hidden = static_cast<int>(2.66 * c);
  block.project_in = scaled(tensors.find(name + ".ffn.project_in.weight", 2L * hidden * c),
                            tensors.find(name + ".norm2.weight", c), 2 * hidden);
  block.depthwise = tensors.copy(name + ".ffn.depthwise.weight", 18L * hidden);
  block.project_out = Matrix(tensors.find(name + ".ffn.project_out.weight", static_cast<long>(hidden) * c), c, hidden);
  return block;
}

Stage stage(const Tensors& tensors, const std::string& name, int channels, int level, int blocks) {
  Stage stage;
  const int c = stage.channels = channels * (level + 1), g = c / 8;
  stage.level = level;
  const std::string embedding = name + ".embedding.";
  stage.pointwise = Matrix(tensors.find(embedding + "pointwise.weight", static_cast<long>(c) * c), c, c);
  stage.square = depthwise(tensors, embedding + "square", g, 3, 3, true);
  stage.frequency = depthwise(tensors, embedding + "frequency", g, 1, BAND, true);
  stage.time = depthwise(tensors, embedding + "time", g, BAND, 1, true);
  for (int i = 0; i < blocks; i++) stage.blocks.push_back(block(tensors, name + ".blocks." + std::to_string(i), c));
  return stage;
}

// The expansion's outputs at even frames, those of even bins first: [2c, c].
std::vector<float> even_frames(const Tensors& tensors, const std::string& name, int c) {
  const float* weights = tensors.find(name + ".expand.weight", 4L * c * c);
  std::vector<float> even(2L * c * c);
  for (int side = 0; side < 2; side++)
    for (int k = 0; k < c; k++)
      std::copy_n(weights + (4L * k + side) * c, c, even.begin() + (static_cast<long>(side) * c + k) * c);
  return even;
}

// Expansion, depthwise convolution and the merge to one channel are linear and have nothing in between: together they
// are one convolution with three taps to an even and an odd bin.
Convolution merged_mask(const Tensors& tensors, int c) {
  const std::vector<float> even = even_frames(tensors, "magnitude_decoder.expand", c);
  const float* taps = tensors.find("magnitude_decoder.expand.depthwise.weight", 3L * c);
  const float* merge = tensors.find("magnitude_decoder.merge.weight", c);
  std::vector<double> sums(2L * c * 3);
  for (int parity = 0; parity < 2; parity++)
    for (int tap = 0; tap < 3; tap++) {
      // Bin 2f + parity + tap - 1 of the doubled row: side of the expansion, and bin before, at or after f.
      const int bin = parity + tap - 1, side = bin & 1, step = (bin - side) / 2;
      for (int k = 0; k < c; k++)
        for (int i = 0; i < c; i++)
          sums[(static_cast<long>(parity) * c + i) * 3 + step + 1] +=
              static_cast<double>(merge[k]) * taps[3 * k + tap] * even[(static_cast<long>(side) * c + k) * c + i];
    }
  const std::vector<float> merged(sums.begin(), sums.end());
  const float bias = *tensors.find("magnitude_decoder.merge.bias", 1);
  return {Matrix(merged.data(), 2, 3 * c), {bias, bias}};
}

}  // namespace

Network::Network(const Tensors& tensors, int channels, int blocks, int bins) : channels(channels), bins(bins) {
  if (channels < 8 || channels % 8) throw std::runtime_error("channels must be a multiple of 8");
  if (blocks < 1) throw std::runtime_error("there must be at least one block");
  if (bins < 128 || bins % 128) throw std::runtime_error("the compiled engine wants a multiple of 128 bins");
  const int c = channels;
  entry = normalised(tensors, "encoder.entry", 2, c, 1);
  encoder = dense(tensors, "encoder.dense", c);
  halve = normalised(tensors, "encoder.halve", c, c, 3);
  const char* names[] = {"encoder1", "encoder2", "latent", "decoder2", "decoder1"};
  const int levels[] = {0, 1, 2, 1, 0};
  for (int i = 0; i < 5; i++) stages[i] = stage(tensors, std::string("unet.") + names[i], c, levels[i], blocks);
  refine_magnitude = stage(tensors, "unet.refine_magnitude", c, 0, blocks);
  refine_phase = stage(tensors, "unet.refine_phase", c, 0, blocks);
  down1 = resampling(tensors, "unet.down1", c, c / 2);
  down2 = resampling(tensors, "unet.down2", 2 * c, 3 * c / 4);
  up2 = resampling(tensors, "unet.up2", 3 * c, 8 * c);
  up1 = resampling(tensors, "unet.up1", 2 * c, 4 * c);
  reduce2 = Matrix(tensors.find("unet.reduce2.weight", 8L * c * c), 2 * c, 4 * c);
  reduce1 = Matrix(tensors.find("unet.reduce1.weight", 2L * c * c), c, 2 * c);
  magnitude_out = Winograd(tensors.find("unet.magnitude_out.weight", 9L * c * c), c, c);
  phase_out = Winograd(tensors.find("unet.phase_out.weight", 9L * c * c), c, c);

  magnitude_dense = dense(tensors, "magnitude_decoder.dense", c);
  mask = merged_mask(tensors, c);
  mask_norm = norm(tensors, "magnitude_decoder.norm", "magnitude_decoder.prelu", 1);
  mask_weight = *tensors.find("magnitude_decoder.out.weight", 1);
  mask_bias = *tensors.find("magnitude_decoder.out.bias", 1);
  slopes = tensors.copy("magnitude_decoder.sigmoid.slope", bins);
  phase_dense = dense(tensors, "phase_decoder.dense", c);
  expand = Matrix(even_frames(tensors, "phase_decoder.expand", c).data(), 2 * c, c);
  doubled = depthwise(tensors, "phase_decoder.expand.depthwise", c, 1, 3, false);
  phase_norm = norm(tensors, "phase_decoder.norm", "phase_decoder.prelu", c);
  std::vector<float> both = tensors.copy("phase_decoder.real.weight", c);
  const float* imag = tensors.find("phase_decoder.imag.weight", c);
  both.insert(both.end(), imag, imag + c);
  direction.weights = Matrix(both.data(), 2, c);
  direction.bias = {*tensors.find("phase_decoder.real.bias", 1), *tensors.find("phase_decoder.imag.bias", 1)};

  for (int level = 0; level < 3; level++) {
    const int width = bins / 2 >> level;
    auto& turn = turn_along_frequency[level];
    turn.resize(4L * width);
    for (int pair = 0; pair < 2; pair++)
      for (int f = 0; f < width; f++) {
        const float angle = SPEEDS[pair] * static_cast<float>(f);
        turn[pair * width + f] = std::cos(angle);
        turn[(2 + pair) * width + f] = std::sin(angle);
      }
  }
}
