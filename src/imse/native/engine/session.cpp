// The network, layer after layer.
#include "session.h"

#include <algorithm>
#include <cmath>

namespace imse {
namespace {

// Rows of scratch memory per channel, at the U-Net's full resolution: more than a block's second pass takes, which is
// 27, or a dense layer of a decoder, which is 30. Scratch refuses to give more than it has.
constexpr long SCRATCH_ROWS = 64;

// Frames are halved between the U-Net's levels.
constexpr int FRAMES_MULTIPLE = 1 << (LEVELS - 1);

// Hidden rows of a feed-forward for each of its channels, rounded up: two halves, one of which gates the other.
constexpr long HIDDEN_ROWS = 6;
static_assert(2 * FEED_FORWARD_FACTOR <= HIDDEN_ROWS, "zeros for a whole frame of hidden rows");

}  // namespace

Session::Session(const Network& network, const Transform& transform, int threads)
    : network_(network), transform_(transform), kernels_(network.kernels), pool_(threads) {
  const long c = network.channels, bins = network.bins, wide = bins / 2 + PAD;
  // The encoder's last dense layer has the full bins: the transformed frames of its inputs, and their products.
  const long encoder = WINOGRAD_PRODUCTS * (DENSE_DEPTH + 1) * c * (bins + PAD);
  const long floats = std::max(SCRATCH_ROWS * c * wide, encoder) + SCRATCH_ROWS * PAD;
  for (int i = 0; i < threads; i++) scratch_.emplace_back(floats, 3L * DENSE_DEPTH * c);
  // A frame of any map: of the encoder's, or of a feed-forward's hidden ones.
  long frame = c * (bins + PAD);
  for (int level = 0; level < LEVELS; level++)
    frame = std::max(frame, HIDDEN_ROWS * (level + 1) * c * ((bins / 2 >> level) + PAD));
  zeros_.resize(frame + 2 * PAD);
}

void Session::run(const float* magnitude, const float* phase, int frames, float* enhanced, float* real, float* imag) {
  past_ = nullptr;
  frames_ = {0, 0, (frames + FRAMES_MULTIPLE - 1) / FRAMES_MULTIPLE * FRAMES_MULTIPLE};
  reserve();
  run_frames(magnitude, phase, frames, enhanced, real, imag);
}

void Session::run_frames(const float* magnitude, const float* phase, int frames, float* enhanced, float* real,
                         float* imag) {
  rotation_of_frames();
  const Map input = encode(magnitude, phase, frames);  // in slot 0
  const Map decoded = unet(input);                     // in slot 1
  decode_magnitude(refine(input, decoded, network_.refine_magnitude, network_.magnitude_out), magnitude, frames,
                   enhanced);
  decode_phase(refine(input, decoded, network_.refine_phase, network_.phase_out), frames, real, imag);
}

Session::Spectrum Session::run(const float* waveform, long samples, float* enhanced) {
  past_ = nullptr;
  return run(waveform, samples, 0, static_cast<int>(Transform::frames(samples)), enhanced);
}

Session::Spectrum Session::run(Past& past, const float* waveform, float* enhanced) {
  past_ = &past;
  frames_ = past.next_step();
  // The frame in the middle of which the signal ends would half be mirrored: it is left for the next step.
  const int frames = frames_.computed();
  return run(waveform, LEAD + static_cast<long>(frames) * HOP_LENGTH, LEAD / HOP_LENGTH, frames, enhanced);
}

// So many frames from the `first` of the waveform on, to the samples from the middle of that one on.
Session::Spectrum Session::run(const float* waveform, long samples, int first, int frames, float* enhanced) {
  const size_t size = static_cast<size_t>(first + frames) * network_.bins;
  for (auto* buffer : {&noisy_, &phase_, &magnitude_, &real_, &imag_}) buffer->resize(size);
  windowed_.resize(static_cast<size_t>(first + frames) * Transform::FRAME);
  const Frames all{0, first, first + frames};
  for_frames(all, [&](int begin, int end, Scratch& scratch) {
    transform_.analyse(waveform, samples, begin, end, scratch, noisy_.data(), phase_.data());
  });
  const long skipped = static_cast<long>(first) * network_.bins;
  const float *noisy = noisy_.data() + skipped, *phase = phase_.data() + skipped;
  float *magnitude = magnitude_.data() + skipped, *real = real_.data() + skipped, *imag = imag_.data() + skipped;
  if (past_)
    run_frames(noisy, phase, frames, magnitude, real, imag);
  else
    run(noisy, phase, frames, magnitude, real, imag);
  for_frames(all, [&](int begin, int end, Scratch& scratch) {
    transform_.synthesise(magnitude_.data(), real_.data(), imag_.data(), begin, end, scratch, windowed_.data());
  });
  const long written = samples - static_cast<long>(first) * HOP_LENGTH;
  for_frames({0, 0, frames}, [&](int begin, int end, Scratch&) {
    const auto sample = [&](int frame) { return frame == frames ? written : static_cast<long>(frame) * HOP_LENGTH; };
    transform_.overlap_add(&windowed_[static_cast<size_t>(first) * Transform::FRAME], frames, sample(begin),
                           sample(end), enhanced);
  });
  return {frames, noisy, magnitude};
}

void Session::rotation_of_frames() {
  const int count = frames_.computed() + 1;
  time_rotation_.resize(2UL * ROTARY_PAIRS * count);
  for (int i = 0; i < count; i++) {
    float* cosines = &time_rotation_[2L * ROTARY_PAIRS * i];
    for (int pair = 0; pair < ROTARY_PAIRS; pair++) {
      const float angle = ROTARY_SPEEDS[pair] * static_cast<float>(i - 1);
      cosines[pair] = std::cos(angle);
      cosines[ROTARY_PAIRS + pair] = std::sin(angle);
    }
  }
}

Map Session::encode(const float* magnitude, const float* phase, int frames) {
  const int c = network_.channels, bins = network_.bins;
  // The last two slots come first: the result goes to slot 0, and nothing reads maps[0] then.
  const auto full = [&](int slot) { return map(slot, c, frames_, bins); };
  const Map maps[] = {full(0), full(2), full(4), full(6), full(8)};
  reserve_statistics(maps[0]);
  for_frames(frames_, [&](int begin, int end, Scratch&) {
    for (int t = begin; t < end; t++) {
      const long at = std::min<long>(t - frames_.first, frames - 1) * bins;  // the last frame repeated
      const float* rows[] = {magnitude + at, phase + at};
      const Convolution& entry = network_.entry.convolution;
      multiply(entry.weights, rows, maps[0].frame(t), {entry.bias.data()});
      record_statistics(maps[0], t);
    }
  });
  normalise(network_.entry.norm, maps[0]);
  dense(network_.encoder, maps);
  const Map out = at_level(0, 0);
  reserve_statistics(out);
  for_frames(frames_, [&](int begin, int end, Scratch& scratch) {
    const Rows even = scratch.rows(c, out.bins), odd = scratch.rows(c, out.bins);
    const float** taps = scratch.row_list(3L * c);
    clear_padding(odd);
    for (int t = begin; t < end; t++) {
      normalise_frame(network_.encoder.back().norm, maps[DENSE_DEPTH], t);
      kernels_.split(maps[DENSE_DEPTH].frame(t), even, odd);
      const float** tap = taps;
      for (int i = 0; i < c; i++) *tap++ = odd.row(i) - 1, *tap++ = even.row(i), *tap++ = odd.row(i);
      const Convolution& halving = network_.halve.convolution;
      multiply(halving.weights, taps, out.frame(t), {halving.bias.data()});
      record_statistics(out, t);
    }
  });
  normalise(network_.halve.norm, out);
  return out;
}

void Session::halve(const Resampling& down, const Map& in, const Map& out) {
  for_frames(out.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows filtered = scratch.rows(in.channels, in.bins), mixed = scratch.rows(out.channels / 4, in.bins);
    for (int t = begin; t < end; t++)
      for (int side = 0; side < 2; side++) {
        depthwise(down.depthwise, in, 2 * t + side, 0, filtered);
        multiply(down.pointwise, scratch.row_list(filtered), mixed);
        // A channel's even and odd bins at even and odd frames become four channels, one after another.
        const Rows to = out.frame(t);
        const auto every_fourth = [&](int first) {
          return Rows{to.row(first), to.channels / 4, to.bins, 4 * to.stride};
        };
        kernels_.split(mixed, every_fourth(2 * side), every_fourth(2 * side + 1));
      }
  });
}

// Up, and back to the level's width together with the encoder's map of that level.
void Session::double_and_join(const Resampling& up, const Map& in, const Map& skip, const Matrix& reduce,
                              const Map& out) {
  const int c = out.channels;
  for_frames(in.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows filtered = scratch.rows(in.channels, in.bins), mixed = scratch.rows(4 * c, in.bins);
    const Rows doubled = scratch.rows(c, out.bins);
    const auto every_fourth = [&](int first) { return ConstRows{mixed.row(first), c, in.bins, 4 * mixed.stride}; };
    for (int t = begin; t < end; t++) {
      depthwise(up.depthwise, in, t, 0, filtered);
      multiply(up.pointwise, scratch.row_list(filtered), mixed);
      for (int side = 0; side < 2; side++) {
        kernels_.interleave(every_fourth(2 * side), every_fourth(2 * side + 1), doubled);
        const Rows encoded = skip.frame(2 * t + side);
        const float** joined = scratch.row_list(2L * c);
        for (int i = 0; i < c; i++) joined[i] = doubled.row(i), joined[c + i] = encoded.row(i);
        multiply(reduce, joined, out.frame(2 * t + side));
      }
    }
  });
}

// From slot 0, which stays, to slot 1.
Map Session::unet(const Map& input) {
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
void Session::stage_in_slots(const Stage& stage, const Map& in, const Map& out) {
  // In a stream no map takes the place of another, so the shape is enough.
  const auto room = [&](int slot) { return past_ ? out : at_level(slot, stage.level); };
  run_stage(stage, in, out, room(7), room(8), room(9));
}

// To slot 2.
Map Session::refine(const Map& input, const Map& decoded, const Stage& stage, const Winograd& last) {
  const Map refined = at_level(3, 0), out = at_level(2, 0);
  stage_in_slots(stage, decoded, refined);
  convolve_once(last, refined, out, input);
  return out;
}

// From slot 2, with 3 to 6.
Map Session::decoder_dense(const Map& in, const std::vector<DenseLayer>& layers) {
  const Map maps[] = {in, at_level(3, 0), at_level(4, 0), at_level(5, 0), at_level(6, 0)};
  dense(layers, maps);
  return maps[DENSE_DEPTH];
}

void Session::decode_magnitude(const Map& in, const float* noisy, int frames, float* enhanced) {
  const Map x = decoder_dense(in, network_.magnitude_dense);
  const Map merged = map(7, 1, x.frames, network_.bins);
  const Norm& before = network_.magnitude_dense.back().norm;
  reserve_statistics(merged);
  for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows sides = scratch.rows(2, x.bins);
    const float** taps = scratch.row_list(3L * x.channels);
    for (int t = begin; t < end; t++) {
      normalise_frame(before, x, t);
      const Rows frame = x.frame(t);
      const float** tap = taps;
      for (int c = 0; c < x.channels; c++)
        for (int bin = -1; bin <= 1; bin++) *tap++ = frame.row(c) + bin;
      multiply(network_.mask.weights, taps, sides, {network_.mask.bias.data()});
      kernels_.interleave({sides.row(0), 1, x.bins, sides.stride}, {sides.row(1), 1, x.bins, sides.stride},
                          merged.frame(t));
      record_statistics(merged, t);
    }
  });
  compute_norm(network_.mask_norm, merged);
  const Mask mask{gain_[0],
                  shift_[0],
                  network_.mask_norm.slope[0],
                  network_.mask_weight,
                  network_.mask_bias,
                  network_.steepness.data()};
  for_frames(merged.frames, [&](int begin, int end, Scratch&) {
    for (int t = begin; t < std::min(end, merged.frames.first + frames); t++) {
      const long at = static_cast<long>(place(merged, t)) * network_.bins;
      kernels_.mask(merged.frame(t).data, noisy + at, mask, network_.bins, enhanced + at);
    }
  });
}

void Session::decode_phase(const Map& in, int frames, float* real, float* imag) {
  const Map x = decoder_dense(in, network_.phase_dense);
  const int c = network_.channels, bins = network_.bins;
  const Map wide = map(7, c, x.frames, bins);
  const Norm& before = network_.phase_dense.back().norm;
  reserve_statistics(wide);
  for_frames(x.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows sides = scratch.rows(2 * c, x.bins), doubled = scratch.rows(c, bins);
    clear_padding(doubled);
    for (int t = begin; t < end; t++) {
      normalise_frame(before, x, t);
      multiply(network_.expand, scratch.row_list(x.frame(t)), sides);
      kernels_.interleave({sides.row(0), c, x.bins, sides.stride}, {sides.row(c), c, x.bins, sides.stride}, doubled);
      const float* rows[] = {doubled.data};
      network_.doubled.kernel(rows, network_.doubled.weights.data(), nullptr, wide.frame(t));
      record_statistics(wide, t);
    }
  });
  compute_norm(network_.phase_norm, wide);
  for_frames(wide.frames, [&](int begin, int end, Scratch& scratch) {
    const Rows both = scratch.rows(2, bins);
    for (int t = begin; t < std::min(end, wide.frames.first + frames); t++) {
      normalise_frame(network_.phase_norm, wide, t);
      multiply(network_.direction.weights, scratch.row_list(wide.frame(t)), both, {network_.direction.bias.data()});
      kernels_.direction(both.row(0), both.row(1), bins);
      const long at = static_cast<long>(place(wide, t)) * bins;
      std::copy_n(both.row(0), bins, real + at);
      std::copy_n(both.row(1), bins, imag + at);
    }
  });
}

}  // namespace imse
