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
  slot_ = slot_size(frames_.computed());
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
  for (auto* buffer : {&noisy_, &phase_, &magnitude_, &real_, &imag_, &windowed_}) *buffer = {};
}

Map Session::map(int slot, int channels, const Frames& frames, int bins) {
  if (past_) return past_->map(channels, frames, bins);
  const Map map{arena_.get() + slot * slot_ + PAD, channels, bins, frames};
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
  const Frames frames{frames_.begin >> level, frames_.first >> level, frames_.end >> level};
  return map(slot, network_.channels * (level + 1), frames, network_.bins / 2 >> level);
}

Map Session::in_place_of(const Map& map) { return past_ ? past_->map(map.channels, map.frames, map.bins) : map; }

const float* Session::frame_or_zeros(const Map& map, int t, int channel) const {
  return map.frames.contain(t) ? map.frame(t).row(channel) : zeros_.data() + PAD;
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
  const int groups = (out.frames.computed() + span - 1) / span * dilation;
  for_frames({0, 0, groups}, [&](int begin, int end, Scratch& scratch) {
    const int inputs = count * network_.channels;
    const Rows transformed = scratch.rows(WINOGRAD_PRODUCTS * inputs, out.bins);
    const Rows products = scratch.rows(WINOGRAD_PRODUCTS * out.channels, out.bins);
    const long apart = inputs * out.stride();
    const float** taps = scratch.row_list(3L * inputs);
    for (int group = begin; group < end; group++) {
      const int first = out.frames.first + group / dilation * span + group % dilation;
      if (first >= out.frames.end) continue;
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
        targets[i] = t < out.frames.end ? out.frame(t).data : nullptr;
        residuals[i] = residual && targets[i] ? residual->frame(t).data : nullptr;
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
void Session::reserve_statistics(const Map& map) { statistics_.resize(2UL * map.frames.computed() * map.channels); }

void Session::record_statistics(const Map& map, int t) {
  kernels_.row_statistics(map.frame(t), &statistics_[2 * place(map, t) * map.channels]);
}

// Gain and shift per channel, from the statistics of all rows and of those that the stream had before.
void Session::compute_norm(const Norm& norm, const Map& map) {
  const int channels = map.channels, count = map.frames.computed(), leaving = past_ ? past_->leaving(map) : 0;
  NormTotals* past = past_ ? &past_->norm() : nullptr;
  NormTotals totals = past ? *past : NormTotals{};
  for (int i = 0; i < count; i++) {
    totals.add(&statistics_[2L * i * channels], channels);
    if (i + 1 == leaving) *past = totals;
  }
  if (past) past->leave(past_->kept());
  gain_.resize(channels), shift_.resize(channels);
  for (int c = 0; c < channels; c++) {
    const double mean = totals.means[c] / totals.frames;
    const double variance =
        totals.squares[c] / totals.frames - mean * mean + totals.deviations[c] / (totals.frames * map.bins);
    const double deviation = std::sqrt(std::max(variance, 0.0) + NORM_EPSILON);
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

// `out` and `a` are none of the other maps.
void Session::run_stage(const Stage& stage, const Map& in, const Map& out, const Map& a, const Map& b, const Map& c) {
  // The blocks go to and fro between `a` and `out`, and end there; the values of their attentions between `b` and `c`.
  const size_t count = stage.blocks.size();
  const auto place_of = [&](size_t i) { return (count - i) % 2 ? a : out; };
  Map x = in_place_of(place_of(0)), values = in_place_of(b);
  embed(stage, in, x, values);
  for (size_t i = 0; i < count; i++) {
    const bool last = i + 1 == count;
    const Map y = last ? out : in_place_of(place_of(i + 1)), next_values = last ? b : in_place_of(i % 2 ? b : c);
    run_block(stage, i, x, y, values, next_values, last ? &in : nullptr);
    x = y;
    values = next_values;
  }
}

// IDConv, and the first pass of the first block.
void Session::embed(const Stage& stage, const Map& in, const Map& out, const Map& values) {
  constexpr int REACH = BAND / 2;
  const int c = stage.channels, g = c / BRANCH_DIVISOR, kept = c - 3 * g;
  const Block& block = stage.blocks.front();
  reserve_attention(out);
  for_frames(in.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows ring = scratch.rows(BAND * c, in.bins);  // the frames around one, after the pointwise convolution
    const AttentionRows rows(scratch, out);
    clear_padding(ring);
    const auto mixed_at = [&](int t) { return Rows{ring.row(t % BAND * c), c, in.bins, ring.stride}; };
    for (int t = std::max(begin - REACH, in.frames.begin); t < end + REACH; t++) {
      prefetch(in, t + 1);
      prefetch(out, t + 1 - REACH);
      prefetch(values, t + 1 - REACH);
      if (t < in.frames.end) multiply(stage.pointwise, scratch.row_list(in.frame(t)), mixed_at(t));
      const int at = t - REACH;
      if (at < begin) continue;
      const Rows to = out.frame(at);
      std::memcpy(to.data, mixed_at(at).data, sizeof(float) * kept * to.stride);
      const auto filter = [&](const Depthwise& layer, int first) {
        const float* frames[BAND];
        for (int i = 0; i < layer.height; i++) {
          const int near = at + i - layer.height / 2;
          frames[i] = in.frames.contain(near) ? mixed_at(near).row(first) : zeros_.data() + PAD;
        }
        layer.kernel(frames, layer.weights.data(), layer.bias_or_null(), {to.row(first), g, to.bins, to.stride});
      };
      filter(stage.square, kept);
      filter(stage.frequency, kept + g);
      filter(stage.time, kept + 2 * g);
      sum_attention(block, stage.level, out, values, at, rows, scratch);
    }
  });
  average_attention(out);
}

// The second pass of a block, and the first one of the next block, frame by frame.
void Session::run_block(const Stage& stage, size_t number, const Map& x, const Map& y, const Map& values,
                        const Map& next_values, const Map* residual) {
  const Block& block = stage.blocks[number];
  const Block* next = number + 1 < stage.blocks.size() ? &stage.blocks[number + 1] : nullptr;
  const int c = x.channels, bins = x.bins, hidden = block.hidden;
  const float* rotation = network_.frequency_rotation[stage.level].data();
  const std::vector<float> context_of_all = context_;
  std::swap(deviations_, deviations_before_);
  if (next) reserve_attention(y);
  for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
    const AttentionRows rows(scratch, y);
    const Rows queries_gate = scratch.rows(2 * c, bins), lepe = scratch.rows(c, bins);
    const Rows queries{queries_gate.data, c, bins, queries_gate.stride};
    float* context = scratch.floats(context_.size());
    const Rows attended = scratch.rows(2 * c, bins);       // two frames of it
    const Rows ring = scratch.rows(3 * 2 * hidden, bins);  // three frames of the feed-forward's hidden map
    const Rows gated = scratch.rows(hidden, bins);
    clear_padding(ring);
    const auto attended_at = [&](int t) { return Rows{attended.row((t & 1) * c), c, bins, attended.stride}; };
    const auto hidden_at = [&](int t) { return Rows{ring.row(t % 3 * 2 * hidden), 2 * hidden, bins, ring.stride}; };
    // The depthwise convolution needs the hidden map of the frame before and after: each is computed one ahead.
    for (int t = std::max(begin - 1, x.frames.begin); t <= end; t++) {
      prefetch(x, t + 1);
      prefetch(values, t + 1 + LEPE_SIZE / 2);
      prefetch(y, t);
      if (next) prefetch(next_values, t);
      if (residual) prefetch(*residual, t);
      if (t < x.frames.end) {
        const Rows middle = attended_at(t);
        if (t < x.frames.first)  // a stream does not keep the deviations
          kernels_.normalise_channels(x.frame(t), rows.deviations, rows.normal);
        else
          kernels_.scale(x.frame(t), &deviations_before_[place(x, t) * bins], rows.normal);
        multiply(block.queries_gate.weights, scratch.row_list(rows.normal), queries_gate,
                 {block.queries_gate.bias.data()});
        depthwise(block.lepe, values, t, 0, lepe);
        rotate_context(context_of_all, x, t, context);
        kernels_.attend(queries, context, rotation, lepe.data, queries_gate.row(c));
        multiply(block.projection.weights, scratch.row_list(queries), middle,
                 {block.projection.bias.data(), {x.frame(t).data}});
        kernels_.normalise_channels(middle, rows.deviations, rows.normal);
        multiply(block.project_in, scratch.row_list(rows.normal), hidden_at(t));
      }
      const int at = t - 1;
      if (at < begin) continue;
      const float* around[3];
      for (int i = 0; i < 3; i++) {
        const int near = at + i - 1;
        around[i] = x.frames.contain(near) ? hidden_at(near).data : zeros_.data() + PAD;
      }
      kernels_.gated(around, block.depthwise.data(), gated);
      multiply(block.project_out, scratch.row_list(gated), y.frame(at),
               {nullptr, {attended_at(at).data, residual ? residual->frame(at).data : nullptr}});
      if (next) sum_attention(*next, stage.level, y, next_values, at, rows, scratch);
    }
  });
  if (next) average_attention(y);
}

// ---- Attention ----

Session::AttentionRows::AttentionRows(Scratch& scratch, const Map& x)
    : normal(scratch.rows(x.channels, x.bins)),
      keys_values(scratch.rows(2 * x.channels, x.bins)),
      deviations(scratch.floats(x.bins)) {}

// Room for what the first pass of a block leaves to the second.
void Session::reserve_attention(const Map& x) {
  const size_t heads = x.channels / HEAD_SIZE, frames = x.frames.computed();
  sums_.resize(frames * heads * HEAD_SUMS);
  deviations_.resize(frames * x.bins);
  context_.resize(heads * HEAD_SUMS);
}

// The first pass of a block over frame t of x: its values, the norm's deviations, and the sums for the context.
void Session::sum_attention(const Block& block, int level, const Map& x, const Map& values, int t,
                            const AttentionRows& rows, Scratch& scratch) {
  const int c = x.channels, heads = c / HEAD_SIZE, bins = x.bins;
  const Rows keys{rows.keys_values.data, c, bins, rows.keys_values.stride};
  const Rows fresh{rows.keys_values.row(c), c, bins, rows.keys_values.stride};
  kernels_.normalise_channels(x.frame(t), &deviations_[place(x, t) * bins], rows.normal);
  multiply(block.keys_values.weights, scratch.row_list(rows.normal), rows.keys_values, {block.keys_values.bias.data()});
  // Not written there at once: the product would wait for the memory.
  const Rows kept = values.frame(t);
  for (int i = 0; i < c; i++) std::memcpy(kept.row(i), fresh.row(i), sizeof(float) * bins);
  kernels_.sum_keys_values(keys, fresh, network_.frequency_rotation[level].data(),
                           &sums_[place(x, t) * heads * HEAD_SUMS]);
}

const float* Session::time_rotation(const Map& map, int t) const {
  return &time_rotation_[2UL * ROTARY_PAIRS * (t - map.frames.first + 1)];
}

// The sums of all frames, and of those that the stream had before, to the context of the whole map; the first half of
// the keys is rotated along time on the way.
void Session::average_attention(const Map& map) {
  const int leaving = past_ ? past_->leaving(map) : 0;
  AttentionTotals* past = past_ ? &past_->attention() : nullptr;
  AttentionTotals totals = past ? *past : AttentionTotals{};
  totals.sums.resize(context_.size());
  for (int t = map.frames.first; t < map.frames.end; t++) {
    totals.add(&sums_[place(map, t) * context_.size()], time_rotation(map, t));
    if (t + 1 == map.frames.first + leaving) {
      *past = totals;
      past->leave(time_rotation(map, t + 1), past_->kept());
    }
  }
  const double positions = totals.frames * map.bins;
  const double scale = 1 / std::sqrt(static_cast<double>(HEAD_SIZE));
  for (size_t i = 0; i < context_.size(); i++) {
    const bool mean_of_values = i % HEAD_SUMS / HEAD_SIZE == 1;
    context_[i] = static_cast<float>(totals.sums[i] / positions * (mean_of_values ? 1.0 : scale));
  }
}

// The context as seen from frame t: keys rotated back there, instead of the queries rotated.
void Session::rotate_context(const std::vector<float>& of_all, const Map& map, int t, float* context) const {
  std::copy(of_all.begin(), of_all.end(), context);
  const float* cosines = time_rotation(map, t);
  for (size_t h = 0; h < of_all.size(); h += HEAD_SUMS)
    for (int pair = 0; pair < ROTARY_PAIRS; pair++) {
      float* even = context + h + 2 * HEAD_SIZE + 2L * pair * HEAD_SIZE;
      float* odd = even + HEAD_SIZE;
      for (int j = 0; j < HEAD_SIZE; j++) rotate(even[j], odd[j], cosines[pair], -cosines[ROTARY_PAIRS + pair]);
    }
}

}  // namespace imse
