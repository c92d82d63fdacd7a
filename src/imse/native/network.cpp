// One segment on its way through the network, frame by frame.
//
// What a frame needs of the whole segment (the statistics of an instance norm, the sums of an attention) splits the work
// into passes; within a pass every frame goes through all layers while it is in the cache, and threads take a range of
// frames each. Sums over frames are added up in the same order whatever the number of threads, so the result does not
// depend on it.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "kernels.h"
#include "pool.h"
#include "weights.h"

namespace {

constexpr int PAD = 16;  // zeros behind each row, a cache line
constexpr int CONTEXT = 2 * HEAD + HEAD * HEAD;  // floats per head: means of keys, of values, keys by values

constexpr float EPSILON = 1e-5f;
constexpr double SCALE = 0.35355339059327373;  // 8 ** -0.5

// Numbers too small for the normal format take a processor a hundred times as long; here they mean nothing.
class FlushDenormals {
#if defined(__SSE__)
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
 public:
  FlushDenormals() {}
#endif
};

// Rows [frames][channels][bins], each with zeros behind it, and zeros in front of the first.
struct Map {
  float* data = nullptr;
  int channels = 0, frames = 0, bins = 0, stride = 0;

  float* frame(int t) const { return data + static_cast<long>(t) * channels * stride; }
  float* row(int t, int c) const { return frame(t) + static_cast<long>(c) * stride; }
};

// What one thread needs for the frame it is at.
struct Scratch {
  std::vector<float> floats;
  std::vector<const float*> rows;
  float* next = nullptr;

  // Rows with zeros in front and behind.
  float* take(long channels, int stride) {
    float* taken = next;
    next += channels * stride + PAD;
    return taken;
  }
};

// The memory and the threads for one segment at a time.
class Session {
 public:
  Session(const Network& network, int threads) : network_(network), pool_(threads), scratch_(threads) {
    const int c = network.channels, bins = network.bins;
    const long wide = bins / 2 + PAD;
    // The most is taken by the encoder's last dense layer, or by a block's second pass: 64 rows per channel suffice.
    const long floats = std::max(64L * c * wide, 6L * (DENSE_DEPTH + 1) * c * (bins + PAD)) + 64L * PAD;
    for (auto& scratch : scratch_) {
      scratch.floats.resize(floats);
      scratch.rows.resize(3L * DENSE_DEPTH * c);
    }
    // A frame of any map: of the encoder's, or of a feed-forward's hidden ones, which are 5.32 times as wide as their level.
    long frame = static_cast<long>(c) * (bins + PAD);
    for (int level = 0; level < 3; level++) frame = std::max(frame, 6L * (level + 1) * c * ((bins / 2 >> level) + PAD));
    zeros_.resize(frame + 2 * PAD);
  }

  // Spectra [frames, bins]; the phase comes out as real and imaginary part of a number of length 1.
  void run(const float* magnitude, const float* phase, int frames, float* enhanced, float* real, float* imag) {
    frames_ = (frames + 3) / 4 * 4;
    reserve();
    turn_along_time();
    const Map input = encode(magnitude, phase, frames);  // in slot 0
    const Map decoded = unet(input);                     // in slot 1
    decode_magnitude(refine(input, decoded, network_.refine_magnitude, network_.magnitude_out), magnitude, frames,
                     enhanced);
    decode_phase(refine(input, decoded, network_.refine_phase, network_.phase_out), frames, real, imag);
  }

 private:
  // Maps lie in slots of the size of c channels at the full resolution; those of the encoder, twice as wide, take two.
  static constexpr int SLOTS = 10;

  struct Free {
    void operator()(float* p) const { std::free(p); }
  };

  void reserve() {
    const long floats = static_cast<long>(network_.channels) * frames_ * (network_.bins / 2 + PAD) + 2 * PAD;
    slot_ = (floats + 15) / 16 * 16;
    if (arena_size_ >= SLOTS * slot_) return;
    arena_.reset();
    arena_size_ = 0;
    arena_.reset(static_cast<float*>(std::aligned_alloc(64, SLOTS * slot_ * sizeof(float))));
    if (!arena_) throw std::runtime_error("not enough memory");
    arena_size_ = SLOTS * slot_;
  }

  // ---- Frames ----

  Map map(int slot, int channels, int frames, int bins) {
    Map map;
    map.data = arena_.get() + slot * slot_ + PAD;
    map.channels = channels, map.frames = frames, map.bins = bins, map.stride = bins + PAD;
    std::memset(map.data - PAD, 0, PAD * sizeof(float));
    for_frames(frames, [&](int begin, int end, Scratch&) {
      for (int t = begin; t < end; t++)
        for (int c = 0; c < channels; c++) std::memset(map.row(t, c) + bins, 0, PAD * sizeof(float));
    });
    return map;
  }

  // At a level of the U-Net: 0 has all frames and c channels.
  Map at_level(int slot, int level) {
    return map(slot, network_.channels * (level + 1), frames_ >> level, network_.bins / 2 >> level);
  }

  template <class Task>
  void for_frames(int frames, const Task& task) {
    pool_.run([&](int worker) {
      const FlushDenormals flush;
      Scratch& scratch = scratch_[worker];
      scratch.next = scratch.floats.data() + PAD;
      const int begin = static_cast<int>(static_cast<long>(frames) * worker / pool_.workers());
      const int end = static_cast<int>(static_cast<long>(frames) * (worker + 1) / pool_.workers());
      if (begin < end) task(begin, end, scratch);
    });
  }

  // From a channel of frame t of a map on; outside the map all channels are zeros.
  const float* frame_or_zeros(const Map& map, int t, int channel = 0) const {
    return t < 0 || t >= map.frames ? zeros_.data() + PAD : map.row(t, channel);
  }

  static void channel_rows(const float* frame, int channels, int stride, const float** rows) {
    for (int c = 0; c < channels; c++) rows[c] = frame + static_cast<long>(c) * stride;
  }

  void depthwise_frame(const Depthwise& layer, const Map& map, int t, int first, int channels, float* out) const {
    const float* rows[BAND];
    for (int i = 0; i < layer.height; i++) rows[i] = frame_or_zeros(map, t + i - layer.height / 2, first);
    kernels.depthwise(rows, layer.height, layer.width, layer.weights.data(),
                      layer.bias.empty() ? nullptr : layer.bias.data(), channels, map.bins, map.stride, out);
  }

  static void multiply(const Matrix& matrix, const float* const* rows, int bins, float* out, int stride,
                       const float* bias = nullptr, const float* scale = nullptr, const float* residual = nullptr,
                       const float* residual2 = nullptr) {
    kernels.product(rows, matrix.inputs, matrix.packed.data(), matrix.outputs, bins, scale, bias, residual, residual2,
                    out, stride);
  }

  // A 3x3 convolution, dilated along time, over the channels of several maps; `done(t)` follows each frame of `out`.
  // Frames go in fixed groups of four, a dilation apart, whichever thread computes them: rounding depends on the group.
  template <class Done>
  void convolve(const Winograd& layer, const Map* const* maps, int count, int dilation, const Map& out,
                const Map* residual, const Done& done) {
    const int groups = (out.frames + 4 * dilation - 1) / (4 * dilation) * dilation, stride = out.stride;
    for_frames(groups, [&](int begin, int end, Scratch& scratch) {
      const int inputs = count * network_.channels;
      const long apart = static_cast<long>(inputs) * stride, frame = static_cast<long>(out.channels) * stride;
      float* transformed = scratch.take(6 * inputs, stride);
      float* sums = scratch.take(6 * out.channels, stride);
      for (int group = begin; group < end; group++) {
        const int first = group / dilation * 4 * dilation + group % dilation;
        if (first >= out.frames) continue;
        for (int j = 0; j < count; j++) {
          const float* around[6];
          for (int i = 0; i < 6; i++) around[i] = frame_or_zeros(*maps[j], first + (i - 1) * dilation);
          const long floats = static_cast<long>(maps[j]->channels) * stride;
          kernels.winograd_input(around, floats, transformed + j * floats, apart);
        }
        for (int part = 0; part < 6; part++) {
          const float* block = transformed + part * apart;
          for (int i = 0; i < inputs; i++)
            for (int tap = 0; tap < 3; tap++) scratch.rows[3 * i + tap] = block + static_cast<long>(i) * stride + tap - 1;
          multiply(layer.parts[part], scratch.rows.data(), out.bins, sums + part * frame, stride);
        }
        float* targets[4];
        const float* residuals[4];
        for (int i = 0; i < 4; i++) {
          const int t = first + i * dilation;
          targets[i] = t < out.frames ? out.frame(t) : nullptr;
          if (residual) residuals[i] = t < out.frames ? residual->frame(t) : nullptr;
        }
        kernels.winograd_output(sums, frame, out.channels, out.bins, stride,
                                layer.bias.empty() ? nullptr : layer.bias.data(), residual ? residuals : nullptr,
                                targets);
        for (int i = 0; i < 4; i++)
          if (targets[i]) done(first + i * dilation);
      }
    });
  }

  // ---- Instance norm ----

  void note(const Map& map, int t) {
    kernels.row_statistics(map.frame(t), map.channels, map.bins, map.stride,
                           &statistics_[static_cast<size_t>(t) * 2 * map.channels]);
  }

  void expect_notes(const Map& map) { statistics_.resize(static_cast<size_t>(map.frames) * 2 * map.channels); }

  // Gain and shift per channel, of the rows that were noted.
  void solve(const Norm& norm, const Map& map) {
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
      const double deviation = std::sqrt(squares / (static_cast<double>(map.frames) * map.bins) + EPSILON);
      gain_[c] = static_cast<float>(norm.weight[c] / deviation);
      shift_[c] = static_cast<float>(norm.bias[c] - mean * norm.weight[c] / deviation);
    }
  }

  void normalise_frame(const Norm& norm, const Map& map, int t) const {
    kernels.normalise(map.frame(t), map.channels, map.bins, map.stride, gain_.data(), shift_.data(),
                      norm.slope.data());
  }

  void normalise(const Norm& norm, const Map& map) {
    solve(norm, map);
    for_frames(map.frames, [&](int begin, int end, Scratch&) {
      for (int t = begin; t < end; t++) normalise_frame(norm, map, t);
    });
  }

  // ---- Layers ----

  // maps[0] to maps[4], where the last one's norm and PReLU are left to what comes next: `solve` has been called.
  void dense(const std::vector<DenseLayer>& layers, const Map* maps) {
    for (int i = 0; i < DENSE_DEPTH; i++) {
      const Map& out = maps[i + 1];
      const Map* newest_first[DENSE_DEPTH];
      for (int j = 0; j <= i; j++) newest_first[j] = &maps[i - j];
      expect_notes(out);
      convolve(layers[i].convolution, newest_first, i + 1, 1 << i, out, nullptr, [&](int t) { note(out, t); });
      if (i + 1 < DENSE_DEPTH)
        normalise(layers[i].norm, out);
      else
        solve(layers[i].norm, out);
    }
  }

  Map encode(const float* magnitude, const float* phase, int frames) {
    Map maps[5];
    // The last two slots come first: the result goes to slot 0, and nothing reads maps[0] then.
    for (int i = 0; i < 5; i++) maps[i] = map(2 * i, network_.channels, frames_, network_.bins);
    expect_notes(maps[0]);
    for_frames(frames_, [&](int begin, int end, Scratch&) {
      for (int t = begin; t < end; t++) {
        const long at = static_cast<long>(std::min(t, frames - 1)) * network_.bins;  // the last frame repeated
        const float* rows[] = {magnitude + at, phase + at};
        multiply(network_.entry.convolution.weights, rows, network_.bins, maps[0].frame(t), maps[0].stride,
                 network_.entry.convolution.bias.data());
        note(maps[0], t);
      }
    });
    normalise(network_.entry.norm, maps[0]);
    dense(network_.encoder, maps);
    const Map out = at_level(0, 0);
    expect_notes(out);
    for_frames(frames_, [&](int begin, int end, Scratch& scratch) {
      const int stride = out.stride;
      float* even = scratch.take(network_.channels, stride);
      float* odd = scratch.take(network_.channels, stride);
      clear_pads(odd, network_.channels, stride);
      for (int t = begin; t < end; t++) {
        normalise_frame(network_.encoder[3].norm, maps[4], t);
        kernels.split(maps[4].frame(t), network_.channels, out.bins, maps[4].stride, even, odd, stride);
        for (int c = 0; c < network_.channels; c++) {
          const float** rows = &scratch.rows[3 * c];
          rows[0] = odd + c * stride - 1, rows[1] = even + c * stride, rows[2] = odd + c * stride;
        }
        multiply(network_.halve.convolution.weights, scratch.rows.data(), out.bins, out.frame(t), stride,
                 network_.halve.convolution.bias.data());
        note(out, t);
      }
    });
    normalise(network_.halve.norm, out);
    return out;
  }

  static void clear_pads(float* rows, int channels, int stride) {
    std::memset(rows - PAD, 0, PAD * sizeof(float));
    for (int c = 0; c < channels; c++) std::memset(rows + (c + 1) * stride - PAD, 0, PAD * sizeof(float));
  }

  // out may be none of the other maps.
  void run_stage(const Stage& stage, const Map& in, const Map& out, const Map& a, const Map& b, const Map& values) {
    const int c = stage.channels, g = c / 8, kept = c - 3 * g, stride = in.stride;
    for_frames(in.frames, [&](int begin, int end, Scratch& scratch) {
      for (int t = begin; t < end; t++) {
        channel_rows(in.frame(t), c, stride, scratch.rows.data());
        multiply(stage.pointwise, scratch.rows.data(), in.bins, a.frame(t), stride);
      }
    });
    for_frames(in.frames, [&](int begin, int end, Scratch&) {
      for (int t = begin; t < end; t++) {
        std::memcpy(b.frame(t), a.frame(t), sizeof(float) * kept * stride);
        depthwise_frame(stage.square, a, t, kept, g, b.row(t, kept));
        depthwise_frame(stage.frequency, a, t, kept + g, g, b.row(t, kept + g));
        depthwise_frame(stage.time, a, t, kept + 2 * g, g, b.row(t, kept + 2 * g));
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

  void run_block(const Block& block, int level, const Map& x, const Map& y, const Map& values, const Map* residual) {
    const int c = x.channels, heads = c / HEAD, bins = x.bins, stride = x.stride;
    const float* turn = network_.turn_along_frequency[level].data();
    sums_.resize(static_cast<size_t>(x.frames) * heads * CONTEXT);
    scales_.resize(static_cast<size_t>(x.frames) * bins);
    for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
      float* keys = scratch.take(2 * c, stride);
      for (int t = begin; t < end; t++) {
        float* scale = &scales_[static_cast<size_t>(t) * bins];
        kernels.inverse_deviation(x.frame(t), c, bins, stride, scale);
        channel_rows(x.frame(t), c, stride, scratch.rows.data());
        multiply(block.keys_values.weights, scratch.rows.data(), bins, keys, stride, block.keys_values.bias.data(),
                 scale);
        // Not written there at once: the product would wait for the memory.
        const float* fresh = keys + static_cast<long>(c) * stride;
        for (int i = 0; i < c; i++) std::memcpy(values.row(t, i), fresh + i * stride, sizeof(float) * bins);
        kernels.gather(keys, fresh, turn, heads, bins, stride,
                       &sums_[static_cast<size_t>(t) * heads * CONTEXT]);
      }
    });
    collect(heads, x.frames, bins);

    for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
      const int hidden = block.hidden;
      const long frame = static_cast<long>(c) * stride, wide = 2L * hidden * stride;
      float* queries = scratch.take(2 * c, stride);
      float* lepe = scratch.take(c, stride);
      float* scale = scratch.take(1, stride);
      float* context = scratch.take(1, heads * CONTEXT);
      float* attended = scratch.take(2 * c, stride);    // two frames of it
      float* ring = scratch.take(6 * hidden, stride);   // three frames of the feed-forward's hidden map
      float* product = scratch.take(hidden, stride);
      clear_pads(ring, 6 * hidden, stride);
      // The depthwise convolution needs the hidden map of the frame before and after: each is computed one ahead.
      for (int t = std::max(begin - 1, 0); t <= end; t++) {
        if (t < x.frames) {
          float* middle = attended + (t & 1) * frame;
          channel_rows(x.frame(t), c, stride, scratch.rows.data());
          multiply(block.queries_gate.weights, scratch.rows.data(), bins, queries, stride,
                   block.queries_gate.bias.data(), &scales_[static_cast<size_t>(t) * bins]);
          depthwise_frame(block.lepe, values, t, 0, c, lepe);
          turn_context(context, heads, t);
          kernels.attend(queries, context, turn, lepe, queries + frame, heads, bins, stride);
          channel_rows(queries, c, stride, scratch.rows.data());
          multiply(block.projection.weights, scratch.rows.data(), bins, middle, stride, block.projection.bias.data(),
                   nullptr, x.frame(t));

          kernels.inverse_deviation(middle, c, bins, stride, scale);
          channel_rows(middle, c, stride, scratch.rows.data());
          multiply(block.project_in, scratch.rows.data(), bins, ring + t % 3 * wide, stride, nullptr, scale);
        }
        const int at = t - 1;
        if (at < begin) continue;
        const float* around[3];
        for (int i = 0; i < 3; i++) {
          const int near = at + i - 1;
          around[i] = near < 0 || near >= x.frames ? zeros_.data() + PAD : ring + near % 3 * wide;
        }
        kernels.gated(around, block.depthwise.data(), hidden, bins, stride, product);
        channel_rows(product, hidden, stride, scratch.rows.data());
        multiply(block.project_out, scratch.rows.data(), bins, y.frame(at), stride, nullptr, nullptr,
                 attended + (at & 1) * frame, residual ? residual->frame(at) : nullptr);
      }
    });
  }

  // The sums of all frames to the context of the whole map, its first four keys turned along time on the way.
  void collect(int heads, int frames, int bins) {
    std::vector<double> all(static_cast<size_t>(heads) * CONTEXT);
    for (int t = 0; t < frames; t++)
      for (int h = 0; h < heads; h++) {
        const float* of_frame = &sums_[(static_cast<size_t>(t) * heads + h) * CONTEXT];
        double* to = &all[h * CONTEXT];
        for (int i = 0; i < 2 * HEAD; i++) to[i] += of_frame[i];
        const float* products = of_frame + 2 * HEAD;
        double* turned = to + 2 * HEAD;
        for (int pair = 0; pair < 2; pair++) {
          const float cosine = turn_along_time_[4 * t + pair], sine = turn_along_time_[4 * t + 2 + pair];
          const float *even = products + 2 * pair * HEAD, *odd = even + HEAD;
          for (int j = 0; j < HEAD; j++) {
            turned[2 * pair * HEAD + j] += even[j] * cosine - odd[j] * sine;
            turned[(2 * pair + 1) * HEAD + j] += odd[j] * cosine + even[j] * sine;
          }
        }
        for (int i = 4 * HEAD; i < HEAD * HEAD; i++) turned[i] += products[i];
      }
    context_.resize(all.size());
    const double positions = static_cast<double>(frames) * bins;
    for (size_t i = 0; i < all.size(); i++)
      context_[i] = static_cast<float>(all[i] / positions * (i % CONTEXT / HEAD == 1 ? 1.0 : SCALE));
  }

  // The context as seen from frame t: keys turned back there, instead of the queries turned.
  void turn_context(float* context, int heads, int t) const {
    std::copy(context_.begin(), context_.end(), context);
    for (int h = 0; h < heads; h++)
      for (int pair = 0; pair < 2; pair++) {
        const float cosine = turn_along_time_[4 * t + pair], sine = turn_along_time_[4 * t + 2 + pair];
        float *even = context + h * CONTEXT + 2 * HEAD + 2 * pair * HEAD, *odd = even + HEAD;
        for (int j = 0; j < HEAD; j++) {
          const float turned = even[j] * cosine + odd[j] * sine;
          odd[j] = odd[j] * cosine - even[j] * sine;
          even[j] = turned;
        }
      }
  }

  void turn_along_time() {
    turn_along_time_.resize(4L * frames_);
    for (int t = 0; t < frames_; t++)
      for (int pair = 0; pair < 2; pair++) {
        const float angle = SPEEDS[pair] * static_cast<float>(t);
        turn_along_time_[4 * t + pair] = std::cos(angle);
        turn_along_time_[4 * t + 2 + pair] = std::sin(angle);
      }
  }

  void halve(const Resampling& down, const Map& in, const Map& out) {
    for_frames(out.frames, [&](int begin, int end, Scratch& scratch) {
      float* filtered = scratch.take(in.channels, in.stride);
      float* mixed = scratch.take(out.channels / 4, in.stride);
      for (int t = begin; t < end; t++)
        for (int side = 0; side < 2; side++) {
          depthwise_frame(down.depthwise, in, 2 * t + side, 0, in.channels, filtered);
          channel_rows(filtered, in.channels, in.stride, scratch.rows.data());
          multiply(down.pointwise, scratch.rows.data(), in.bins, mixed, in.stride);
          kernels.split(mixed, out.channels / 4, out.bins, in.stride, out.row(t, 2 * side), out.row(t, 2 * side + 1),
                        4 * out.stride);
        }
    });
  }

  // Up, and back to the level's width together with the encoder's map of that level.
  void double_and_join(const Resampling& up, const Map& in, const Map& skip, const Matrix& reduce, const Map& out) {
    const int c = out.channels;
    for_frames(in.frames, [&](int begin, int end, Scratch& scratch) {
      float* filtered = scratch.take(in.channels, in.stride);
      float* mixed = scratch.take(4 * c, in.stride);
      float* doubled = scratch.take(c, out.stride);
      for (int t = begin; t < end; t++) {
        depthwise_frame(up.depthwise, in, t, 0, in.channels, filtered);
        channel_rows(filtered, in.channels, in.stride, scratch.rows.data());
        multiply(up.pointwise, scratch.rows.data(), in.bins, mixed, in.stride);
        for (int side = 0; side < 2; side++) {
          const float* even = mixed + 2 * side * in.stride;
          kernels.interleave(even, even + in.stride, c, in.bins, 4 * in.stride, doubled, out.stride);
          channel_rows(doubled, c, out.stride, scratch.rows.data());
          channel_rows(skip.frame(2 * t + side), c, skip.stride, scratch.rows.data() + c);
          multiply(reduce, scratch.rows.data(), out.bins, out.frame(2 * t + side), out.stride);
        }
      }
    });
  }

  // From slot 0, which stays, to slot 1.
  Map unet(const Map& input) {
    const Map skip1 = at_level(2, 0), decoded = at_level(1, 0);
    stage_in_slots(network_.stages[0], input, skip1);
    const Map skip2 = at_level(3, 1);
    {
      const Map in = at_level(4, 1);
      halve(network_.down1, skip1, in);
      stage_in_slots(network_.stages[1], in, skip2);
    }
    const Map deepest = at_level(5, 2);
    {
      const Map in = at_level(4, 2);
      halve(network_.down2, skip2, in);
      stage_in_slots(network_.stages[2], in, deepest);
    }
    const Map level2 = at_level(4, 1);
    {
      const Map in = at_level(6, 1);
      double_and_join(network_.up2, deepest, skip2, network_.reduce2, in);
      stage_in_slots(network_.stages[3], in, level2);
    }
    const Map in = at_level(3, 0);
    double_and_join(network_.up1, level2, skip1, network_.reduce1, in);
    stage_in_slots(network_.stages[4], in, decoded);
    return decoded;
  }

  // A stage with the last three slots to work in.
  void stage_in_slots(const Stage& stage, const Map& in, const Map& out) {
    run_stage(stage, in, out, at_level(7, stage.level), at_level(8, stage.level), at_level(9, stage.level));
  }

  // To slot 2.
  Map refine(const Map& input, const Map& decoded, const Stage& stage, const Winograd& last) {
    const Map refined = at_level(3, 0), out = at_level(2, 0);
    stage_in_slots(stage, decoded, refined);
    const Map* maps[] = {&refined};
    convolve(last, maps, 1, 1, out, &input, [](int) {});
    return out;
  }

  // From slot 2, with 3 to 6.
  Map decoder_dense(const Map& in, const std::vector<DenseLayer>& layers) {
    const Map maps[] = {in, at_level(3, 0), at_level(4, 0), at_level(5, 0), at_level(6, 0)};
    dense(layers, maps);
    return maps[4];
  }

  void decode_magnitude(const Map& in, const float* noisy, int frames, float* enhanced) {
    const Map x = decoder_dense(in, network_.magnitude_dense);
    const Map merged = map(7, 1, x.frames, network_.bins);
    const Norm& before = network_.magnitude_dense[3].norm;
    std::vector<float> row_statistics(2L * x.frames);
    for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
      float* sides = scratch.take(2, x.stride);
      for (int t = begin; t < end; t++) {
        normalise_frame(before, x, t);
        for (int c = 0; c < x.channels; c++)
          for (int tap = 0; tap < 3; tap++) scratch.rows[3 * c + tap] = x.row(t, c) + tap - 1;
        multiply(network_.mask.weights, scratch.rows.data(), x.bins, sides, x.stride, network_.mask.bias.data());
        kernels.interleave(sides, sides + x.stride, 1, x.bins, x.stride, merged.frame(t), merged.stride);
        kernels.row_statistics(merged.frame(t), 1, network_.bins, merged.stride, &row_statistics[2L * t]);
      }
    });
    statistics_.swap(row_statistics);
    solve(network_.mask_norm, merged);
    const float constants[] = {gain_[0], shift_[0], network_.mask_norm.slope[0], network_.mask_weight, network_.mask_bias};
    for_frames(frames, [&](int begin, int end, Scratch&) {
      for (int t = begin; t < end; t++)
        kernels.mask(merged.frame(t), noisy + static_cast<long>(t) * network_.bins, network_.slopes.data(), network_.bins, constants,
                     enhanced + static_cast<long>(t) * network_.bins);
    });
  }

  void decode_phase(const Map& in, int frames, float* real, float* imag) {
    const Map x = decoder_dense(in, network_.phase_dense);
    const Map wide = map(7, network_.channels, x.frames, network_.bins);
    const Norm& before = network_.phase_dense[3].norm;
    std::vector<float> row_statistics(2L * x.frames * network_.channels);
    for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
      float* sides = scratch.take(2 * network_.channels, x.stride);
      float* doubled = scratch.take(network_.channels, wide.stride);
      clear_pads(doubled, network_.channels, wide.stride);
      for (int t = begin; t < end; t++) {
        normalise_frame(before, x, t);
        channel_rows(x.frame(t), network_.channels, x.stride, scratch.rows.data());
        multiply(network_.expand, scratch.rows.data(), x.bins, sides, x.stride);
        kernels.interleave(sides, sides + static_cast<long>(network_.channels) * x.stride, network_.channels, x.bins, x.stride, doubled,
                           wide.stride);
        const float* rows[] = {doubled};
        kernels.depthwise(rows, 1, 3, network_.doubled.weights.data(), nullptr, network_.channels, network_.bins, wide.stride, wide.frame(t));
        kernels.row_statistics(wide.frame(t), network_.channels, network_.bins, wide.stride, &row_statistics[2L * t * network_.channels]);
      }
    });
    statistics_.swap(row_statistics);
    solve(network_.phase_norm, wide);
    for_frames(frames, [&](int begin, int end, Scratch& scratch) {
      float* both = scratch.take(2, network_.bins);
      for (int t = begin; t < end; t++) {
        normalise_frame(network_.phase_norm, wide, t);
        channel_rows(wide.frame(t), network_.channels, wide.stride, scratch.rows.data());
        multiply(network_.direction.weights, scratch.rows.data(), network_.bins, both, network_.bins, network_.direction.bias.data());
        kernels.direction(both, both + network_.bins, network_.bins);
        std::copy_n(both, network_.bins, real + static_cast<long>(t) * network_.bins);
        std::copy_n(both + network_.bins, network_.bins, imag + static_cast<long>(t) * network_.bins);
      }
    });
  }

  const Network& network_;
  Pool pool_;
  std::vector<Scratch> scratch_;
  std::vector<float> zeros_;
  int frames_ = 0;
  long slot_ = 0, arena_size_ = 0;
  std::unique_ptr<float, Free> arena_;
  std::vector<float> statistics_, gain_, shift_, sums_, scales_, context_, turn_along_time_;
};

// A network and a session for each of those who use it at the same time.
struct Handle {
  Handle(const Tensors& tensors, int channels, int blocks, int bins, int threads)
      : network(tensors, channels, blocks, bins), threads(threads) {}

  std::unique_ptr<Session> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<Session> session = std::move(idle.back());
        idle.pop_back();
        return session;
      }
    }
    return std::make_unique<Session>(network, threads);
  }

  void give_back(std::unique_ptr<Session> session) {
    const std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(session));
  }

  const Network network;
  const int threads;
  std::mutex mutex;
  std::vector<std::unique_ptr<Session>> idle;
};

void explain(const std::exception& error, char* message, int size) {
  std::strncpy(message, error.what(), size - 1);
  message[size - 1] = 0;
}

}  // namespace

#define PUBLIC extern "C" __attribute__((visibility("default")))

// The instruction set in use: "avx512", "avx2" or "baseline".
PUBLIC const char* imse_kernels() { return kernels.name; }

// Null where the weights do not fit, with the reason in `message`.
PUBLIC void* imse_open(int channels, int blocks, int bins, int threads, const char* const* names, const float* const* values,
                const long* sizes, int count, char* message, int message_size) {
  try {
    return new Handle(Tensors(names, values, sizes, count), channels, blocks, bins, threads);
  } catch (const std::exception& error) {
    explain(error, message, message_size);
    return nullptr;
  }
}

// 0, or 1 with the reason in `message`.
PUBLIC int imse_run(void* network, const float* magnitude, const float* phase, int frames, float* enhanced, float* real,
             float* imag, char* message, int message_size) {
  try {
    const auto handle = static_cast<Handle*>(network);
    std::unique_ptr<Session> session = handle->take();
    session->run(magnitude, phase, frames, enhanced, real, imag);
    handle->give_back(std::move(session));
    return 0;
  } catch (const std::exception& error) {
    explain(error, message, message_size);
    return 1;
  }
}

PUBLIC void imse_close(void* network) { delete static_cast<Handle*>(network); }
