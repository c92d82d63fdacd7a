// The session's maps and layers.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>

#include "../common/rotation.h"
#include "session.h"

namespace imse {

// ---- Frames ----

long Session::slot_size(int frames) const {
  // 64 bits hold the size for the largest network and the most frames. Where it can be allocated, a `long` holds all
  // offsets.
  const std::int64_t floats = static_cast<std::int64_t>(network_.channels) * frames * (network_.bins / 2 + PAD);
  const std::int64_t slot = (floats + 2 * PAD + PAD - 1) / PAD * PAD;  // whole cache lines
  if (SLOTS * slot > std::numeric_limits<long>::max() / static_cast<long>(sizeof(float))) throw std::bad_alloc();
  return static_cast<long>(slot);
}

void Session::reserve() {
  slot_ = slot_size(frames_);
  if (arena_size_ >= SLOTS * slot_) return;
  arena_.reset();
  arena_size_ = 0;
  arena_ = allocate_floats(SLOTS * slot_);
  arena_size_ = SLOTS * slot_;
}

void Session::trim(int frames) {
  if (arena_size_ <= SLOTS * slot_size(frames)) return;
  arena_.reset();
  arena_size_ = 0;
  spectrum_ = {};
  for (auto* buffer : {&phase_, &real_, &imag_, &windowed_}) *buffer = {};
}

Map Session::map(int slot, int channels, int frames, int bins) {
  const Map map{arena_.get() + slot * slot_ + PAD, channels, frames, bins};
  for_frames(frames, [&](int begin, int end, Scratch&) {
    for (int t = begin; t < end; t++) {
      const Rows frame = map.frame(t);
      for (int c = 0; c < channels; c++) std::memset(frame.row(c) + bins, 0, PAD * sizeof(float));
    }
  });
  std::memset(map.data - PAD, 0, PAD * sizeof(float));
  return map;
}

Map Session::at_level(int slot, int level) {
  return map(slot, network_.channels * (level + 1), frames_ >> level, network_.bins / 2 >> level);
}

const float* Session::frame_or_zeros(const Map& map, int t, int channel) const {
  return t < 0 || t >= map.frames ? zeros_.data() + PAD : map.frame(t).row(channel);
}

// ---- Convolutions ----

void Session::multiply(const Matrix& matrix, const float* const* inputs, Rows out, const Epilogue& epilogue) const {
  kernels_.product(inputs, matrix.view(), epilogue, out);
}

void Session::depthwise(const Depthwise& layer, const Map& map, int t, int first, Rows out) const {
  const float* frames[BAND];
  for (int i = 0; i < layer.height; i++) frames[i] = frame_or_zeros(map, t + i - layer.height / 2, first);
  layer.kernel(frames, layer.weights.data(), layer.bias_or_null(), out);
}

// A 3x3 convolution, dilated along time, over the channels of several maps; `done(t)` follows each frame of `out`.
// Frames go in fixed groups of four, a dilation apart, whichever thread computes them: rounding depends on the group.
template <class Done>
void Session::convolve(const Winograd& layer, const Map* const* maps, int count, int dilation, const Map& out,
                       const Map* residual, const Done& done) {
  const int span = WINOGRAD_OUTPUTS * dilation;  // frames of `dilation` groups
  const int groups = (out.frames + span - 1) / span * dilation;
  for_frames(groups, [&](int begin, int end, Scratch& scratch) {
    const int inputs = count * network_.channels;
    const Rows transformed = scratch.rows(WINOGRAD_PRODUCTS * inputs, out.bins);
    const Rows products = scratch.rows(WINOGRAD_PRODUCTS * out.channels, out.bins);
    const long apart = inputs * out.stride();
    const float** taps = scratch.row_list(3L * inputs);
    for (int group = begin; group < end; group++) {
      const int first = group / dilation * span + group % dilation;
      if (first >= out.frames) continue;
      for (int j = 0; j < count; j++) {
        const float* around[WINOGRAD_PRODUCTS];
        for (int i = 0; i < WINOGRAD_PRODUCTS; i++) around[i] = frame_or_zeros(*maps[j], first + (i - 1) * dilation);
        const long floats = maps[j]->frame_size();
        kernels_.winograd_input(around, floats, transformed.data + j * floats, apart);
      }
      for (int part = 0; part < WINOGRAD_PRODUCTS; part++) {
        const float** tap = taps;
        for (int i = 0; i < inputs; i++)
          for (int bin = -1; bin <= 1; bin++) *tap++ = transformed.row(part * inputs + i) + bin;
        multiply(layer.parts[part], taps, {products.row(part * out.channels), out.channels, out.bins, products.stride});
      }
      float* targets[WINOGRAD_OUTPUTS];
      const float* residuals[WINOGRAD_OUTPUTS];
      for (int i = 0; i < WINOGRAD_OUTPUTS; i++) {
        const int t = first + i * dilation;
        targets[i] = t < out.frames ? out.frame(t).data : nullptr;
        residuals[i] = residual && t < out.frames ? residual->frame(t).data : nullptr;
      }
      kernels_.winograd_output({products.data, out.channels, out.bins, products.stride}, out.frame_size(),
                               layer.bias.empty() ? nullptr : layer.bias.data(), residual ? residuals : nullptr,
                               targets);
      for (int i = 0; i < WINOGRAD_OUTPUTS; i++)
        if (targets[i]) done(first + i * dilation);
    }
  });
}

void Session::convolve_once(const Winograd& layer, const Map& in, const Map& out, const Map& residual) {
  const Map* maps[] = {&in};
  convolve(layer, maps, 1, 1, out, &residual, [](int) {});
}

// maps[0] to maps[4], where the last one's norm and PReLU are left to what comes next: `compute_norm` has been called.
void Session::dense(const std::vector<DenseLayer>& layers, const Map* maps) {
  for (int i = 0; i < DENSE_DEPTH; i++) {
    const Map& out = maps[i + 1];
    const Map* newest_first[DENSE_DEPTH];
    for (int j = 0; j <= i; j++) newest_first[j] = &maps[i - j];
    reserve_statistics(out);
    convolve(layers[i].convolution, newest_first, i + 1, 1 << i, out, nullptr,
             [&](int t) { record_statistics(out, t); });
    if (i + 1 < DENSE_DEPTH)
      normalise(layers[i].norm, out);
    else
      compute_norm(layers[i].norm, out);
  }
}

// ---- Instance norm ----

// Room for the statistics of every row.
void Session::reserve_statistics(const Map& map) {
  statistics_.resize(static_cast<size_t>(map.frames) * 2 * map.channels);
}

void Session::record_statistics(const Map& map, int t) {
  kernels_.row_statistics(map.frame(t), &statistics_[static_cast<size_t>(t) * 2 * map.channels]);
}

// Gain and shift per channel, from the statistics of all rows.
void Session::compute_norm(const Norm& norm, const Map& map) {
  const int channels = map.channels;
  gain_.resize(channels), shift_.resize(channels);
  for (int c = 0; c < channels; c++) {
    double mean = 0, squares = 0;
    for (int t = 0; t < map.frames; t++) mean += statistics_[(static_cast<size_t>(t) * channels + c) * 2];
    mean /= map.frames;
    for (int t = 0; t < map.frames; t++) {
      const float* row = &statistics_[(static_cast<size_t>(t) * channels + c) * 2];
      squares += row[1] + map.bins * (row[0] - mean) * (row[0] - mean);
    }
    const double deviation = std::sqrt(squares / (static_cast<double>(map.frames) * map.bins) + NORM_EPSILON);
    gain_[c] = static_cast<float>(norm.weight[c] / deviation);
    shift_[c] = static_cast<float>(norm.bias[c] - mean * norm.weight[c] / deviation);
  }
}

void Session::normalise_frame(const Norm& norm, const Map& map, int t) const {
  kernels_.normalise(map.frame(t), {gain_.data(), shift_.data(), norm.slope.data()});
}

void Session::normalise(const Norm& norm, const Map& map) {
  compute_norm(norm, map);
  for_frames(map.frames, [&](int begin, int end, Scratch&) {
    for (int t = begin; t < end; t++) normalise_frame(norm, map, t);
  });
}

// ---- Stages ----

// out may be none of the other maps.
void Session::run_stage(const Stage& stage, const Map& in, const Map& out, const Map& a, const Map& b,
                        const Map& values) {
  const int c = stage.channels, g = c / BRANCH_DIVISOR, kept = c - 3 * g;
  for_frames(in.frames, [&](int begin, int end, Scratch& scratch) {
    for (int t = begin; t < end; t++) multiply(stage.pointwise, scratch.row_list(in.frame(t)), a.frame(t));
  });
  for_frames(in.frames, [&](int begin, int end, Scratch&) {
    for (int t = begin; t < end; t++) {
      const Rows to = b.frame(t);
      std::memcpy(to.data, a.frame(t).data, sizeof(float) * kept * to.stride);
      const auto filter = [&](const Depthwise& layer, int first) {
        depthwise(layer, a, t, first, {to.row(first), g, to.bins, to.stride});
      };
      filter(stage.square, kept);
      filter(stage.frequency, kept + g);
      filter(stage.time, kept + 2 * g);
    }
  });
  const Map* x = &b;
  for (size_t i = 0; i < stage.blocks.size(); i++) {
    const bool last = i + 1 == stage.blocks.size();
    const Map* y = last ? &out : x == &a ? &b : &a;
    run_block(stage.blocks[i], stage.level, *x, *y, values, last ? &in : nullptr);
    x = y;
  }
}

void Session::run_block(const Block& block, int level, const Map& x, const Map& y, const Map& values,
                        const Map* residual) {
  sum_attention(block, level, x, values);
  const int c = x.channels, bins = x.bins, hidden = block.hidden;
  const float* rotation = network_.frequency_rotation[level].data();
  for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows queries_gate = scratch.rows(2 * c, bins), lepe = scratch.rows(c, bins);
    const Rows queries{queries_gate.data, c, bins, queries_gate.stride};
    float* deviations = scratch.floats(bins);
    float* context = scratch.floats(context_.size());
    const Rows attended = scratch.rows(2 * c, bins);       // two frames of it
    const Rows ring = scratch.rows(3 * 2 * hidden, bins);  // three frames of the feed-forward's hidden map
    const Rows gated = scratch.rows(hidden, bins);
    clear_padding(ring);
    const auto attended_at = [&](int t) { return Rows{attended.row((t & 1) * c), c, bins, attended.stride}; };
    const auto hidden_at = [&](int t) { return Rows{ring.row(t % 3 * 2 * hidden), 2 * hidden, bins, ring.stride}; };
    // The depthwise convolution needs the hidden map of the frame before and after: each is computed one ahead.
    for (int t = std::max(begin - 1, 0); t <= end; t++) {
      if (t < x.frames) {
        const Rows middle = attended_at(t);
        multiply(block.queries_gate.weights, scratch.row_list(x.frame(t)), queries_gate,
                 {&deviations_[static_cast<size_t>(t) * bins], block.queries_gate.bias.data()});
        depthwise(block.lepe, values, t, 0, lepe);
        rotate_context(context, c / HEAD_SIZE, t);
        kernels_.attend(queries, context, rotation, lepe.data, queries_gate.row(c));
        multiply(block.projection.weights, scratch.row_list(queries), middle,
                 {nullptr, block.projection.bias.data(), {x.frame(t).data}});

        kernels_.inverse_deviations(middle, deviations);
        multiply(block.project_in, scratch.row_list(middle), hidden_at(t), {deviations});
      }
      const int at = t - 1;
      if (at < begin) continue;
      const float* around[3];
      for (int i = 0; i < 3; i++) {
        const int near = at + i - 1;
        around[i] = near < 0 || near >= x.frames ? zeros_.data() + PAD : hidden_at(near).data;
      }
      kernels_.gated(around, block.depthwise.data(), gated);
      multiply(block.project_out, scratch.row_list(gated), y.frame(at),
               {nullptr, nullptr, {attended_at(at).data, residual ? residual->frame(at).data : nullptr}});
    }
  });
}

// ---- Attention ----

// The first pass of a block: values, the norm's deviations, and the context of the attention.
void Session::sum_attention(const Block& block, int level, const Map& x, const Map& values) {
  const int c = x.channels, heads = c / HEAD_SIZE, bins = x.bins;
  const float* rotation = network_.frequency_rotation[level].data();
  sums_.resize(static_cast<size_t>(x.frames) * heads * HEAD_SUMS);
  deviations_.resize(static_cast<size_t>(x.frames) * bins);
  context_.resize(static_cast<size_t>(heads) * HEAD_SUMS);
  for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows keys_values = scratch.rows(2 * c, bins);
    const Rows keys{keys_values.data, c, bins, keys_values.stride};
    const Rows fresh{keys_values.row(c), c, bins, keys_values.stride};
    for (int t = begin; t < end; t++) {
      float* deviations = &deviations_[static_cast<size_t>(t) * bins];
      kernels_.inverse_deviations(x.frame(t), deviations);
      multiply(block.keys_values.weights, scratch.row_list(x.frame(t)), keys_values,
               {deviations, block.keys_values.bias.data()});
      // Not written there at once: the product would wait for the memory.
      const Rows kept = values.frame(t);
      for (int i = 0; i < c; i++) std::memcpy(kept.row(i), fresh.row(i), sizeof(float) * bins);
      kernels_.sum_keys_values(keys, fresh, rotation, &sums_[static_cast<size_t>(t) * heads * HEAD_SUMS]);
    }
  });
  average_attention(heads, x.frames, bins);
}

// The sums of all frames to the context of the whole map; the first half of the keys is rotated along time on the way.
void Session::average_attention(int heads, int frames, int bins) {
  std::vector<double> all(context_.size());
  for (int t = 0; t < frames; t++)
    for (long h = 0; h < heads; h++) {
      const float* of_frame = &sums_[(static_cast<size_t>(t) * heads + h) * HEAD_SUMS];
      double* to = &all[h * HEAD_SUMS];
      for (int i = 0; i < 2 * HEAD_SIZE; i++) to[i] += of_frame[i];
      const float* products = of_frame + 2 * HEAD_SIZE;
      double* rotated = to + 2 * HEAD_SIZE;
      const float* cosines = &time_rotation_[2L * ROTARY_PAIRS * t];
      for (int pair = 0; pair < ROTARY_PAIRS; pair++)
        for (int j = 0; j < HEAD_SIZE; j++) {
          const int even = 2 * pair * HEAD_SIZE + j, odd = even + HEAD_SIZE;
          float x = products[even], y = products[odd];
          rotate(x, y, cosines[pair], cosines[ROTARY_PAIRS + pair]);
          rotated[even] += x;
          rotated[odd] += y;
        }
      for (int i = 2 * ROTARY_PAIRS * HEAD_SIZE; i < HEAD_SIZE * HEAD_SIZE; i++) rotated[i] += products[i];
    }
  const double positions = static_cast<double>(frames) * bins;
  const double scale = 1 / std::sqrt(static_cast<double>(HEAD_SIZE));
  for (size_t i = 0; i < all.size(); i++) {
    const bool mean_of_values = i % HEAD_SUMS / HEAD_SIZE == 1;
    context_[i] = static_cast<float>(all[i] / positions * (mean_of_values ? 1.0 : scale));
  }
}

// The context as seen from frame t: keys rotated back there, instead of the queries rotated.
void Session::rotate_context(float* context, int heads, int t) const {
  std::copy(context_.begin(), context_.end(), context);
  const float* cosines = &time_rotation_[2L * ROTARY_PAIRS * t];
  for (long h = 0; h < heads; h++)
    for (int pair = 0; pair < ROTARY_PAIRS; pair++) {
      float* even = context + h * HEAD_SUMS + 2 * HEAD_SIZE + 2 * pair * HEAD_SIZE;
      float* odd = even + HEAD_SIZE;
      for (int j = 0; j < HEAD_SIZE; j++) rotate(even[j], odd[j], cosines[pair], -cosines[ROTARY_PAIRS + pair]);
    }
}

}  // namespace imse
