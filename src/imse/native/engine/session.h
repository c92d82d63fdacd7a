// One segment on its way through the network, or the newest frames of a stream.
//
// What a frame needs of the whole segment (the statistics of an instance norm, the sums of an attention) splits the
// work into passes; within a pass every frame goes through all layers while it is in the cache, and threads take a
// range of frames each. Sums over frames are added up in the same order whatever the number of threads, so the result
// does not depend on it.
#pragma once

#include <vector>

#include "../common/pool.h"
#include "../signal/transform.h"
#include "kernels.h"
#include "memory.h"
#include "past.h"
#include "weights.h"

namespace imse {

// The memory and the threads for one segment at a time.
class Session {
 public:
  // Throws std::system_error where the threads cannot be started.
  Session(const Network& network, const Transform& transform, int threads);

  // Spectra [frames, bins]; the phase comes out as real and imaginary part of a number of length 1.
  void run(const float* magnitude, const float* phase, int frames, float* enhanced, float* real, float* imag);

  // The spectrum of a waveform before and after the network.
  struct Spectrum {
    int frames;
    const float *noisy, *enhanced;  // compressed magnitude, [frames, bins]
  };

  // A waveform with at least one sample, of as many frames as fit in an int. What is returned lasts until the next
  // call.
  Spectrum run(const float* waveform, long samples, float* enhanced);

  // Samples of a stream before the first frame that a step computes.
  static constexpr long LEAD = (N_FFT / 2 + HOP_LENGTH - 1) / HOP_LENGTH * HOP_LENGTH;

  // One step of a stream: its newest LEAD + `samples` ones, which are a hop for each frame that a step computes, to the
  // last `samples` enhanced. The first and the last N_FFT / 2 of them lack frames that overlap.
  Spectrum run(Past& past, const float* waveform, float* enhanced);

  // Give up the memory for segments of more frames than these.
  void trim(int frames);

 private:
  // Maps lie in slots of the size of c channels at the full resolution; those of the encoder, twice as wide, take two.
  static constexpr int SLOTS = 10;

  // ---- Frames (layers.cpp) ----

  long slot_size(int frames) const;
  void reserve();
  // In a slot, or that of the stream whose turn it is.
  Map map(int slot, int channels, const Frames& frames, int bins);
  // At a level of the U-Net: 0 has all frames and c channels.
  Map at_level(int slot, int level);
  // For another map in the slot of this one. A stream keeps both.
  Map in_place_of(const Map& map);
  // From a channel of frame t of a map on; outside the map all channels are zeros.
  const float* frame_or_zeros(const Map& map, int t, int channel = 0) const;

  // Call task(begin, end, scratch) on every thread, for its range of the frames that are computed.
  template <class Task>
  void for_frames(const Frames& frames, const Task& task) {
    pool_.run([&](int worker) {
      const FlushDenormals flush;
      Scratch& scratch = scratch_[worker];
      scratch.reset();
      const long count = frames.computed();
      const int begin = frames.first + static_cast<int>(count * worker / pool_.workers());
      const int end = frames.first + static_cast<int>(count * (worker + 1) / pool_.workers());
      if (begin < end) task(begin, end, scratch);
    });
  }

  // ---- Layers (layers.cpp) ----

  void multiply(const Matrix& matrix, const float* const* inputs, Rows out, const Epilogue& epilogue = {}) const;
  // Into the rows of `out`, from as many channels of frame t from the `first` on.
  void depthwise(const Depthwise& layer, const Map& map, int t, int first, Rows out) const;
  template <class Done>
  void convolve(const Winograd& layer, const Map* const* maps, int count, int dilation, const Map& out,
                const Map* residual, const Done& done);

  // The place of a frame among those that are computed.
  static size_t place(const Map& map, int t) { return static_cast<size_t>(t - map.frames.first); }
  const float* time_rotation(const Map& map, int t) const;

  void reserve_statistics(const Map& map);
  void record_statistics(const Map& map, int t);
  void compute_norm(const Norm& norm, const Map& map);
  void normalise_frame(const Norm& norm, const Map& map, int t) const;
  void normalise(const Norm& norm, const Map& map);

  void dense(const std::vector<DenseLayer>& layers, const Map* maps);
  void convolve_once(const Winograd& layer, const Map& in, const Map& out, const Map& residual);
  // What the first pass of a block needs for one frame.
  struct AttentionRows {
    AttentionRows(Scratch& scratch, const Map& x);

    Rows normal, keys_values;
    float* deviations;
  };

  void run_stage(const Stage& stage, const Map& in, const Map& out, const Map& a, const Map& b, const Map& c);
  void embed(const Stage& stage, const Map& in, const Map& out, const Map& values);
  void run_block(const Stage& stage, size_t number, const Map& x, const Map& y, const Map& values,
                 const Map& next_values, const Map* residual);
  void reserve_attention(const Map& x);
  void sum_attention(const Block& block, int level, const Map& x, const Map& values, int t, const AttentionRows& rows,
                     Scratch& scratch);
  void average_attention(const Map& map);
  void rotate_context(const std::vector<float>& of_all, const Map& map, int t, float* context) const;

  // ---- The network (session.cpp) ----

  Spectrum run(const float* waveform, long samples, int first, int frames, float* enhanced);
  void run_frames(const float* magnitude, const float* phase, int frames, float* enhanced, float* real, float* imag);
  void rotation_of_frames();
  Map encode(const float* magnitude, const float* phase, int frames);
  void halve(const Resampling& down, const Map& in, const Map& out);
  void double_and_join(const Resampling& up, const Map& in, const Map& skip, const Matrix& reduce, const Map& out);
  Map unet(const Map& input);
  void stage_in_slots(const Stage& stage, const Map& in, const Map& out);
  Map refine(const Map& input, const Map& decoded, const Stage& stage, const Winograd& last);
  Map decoder_dense(const Map& in, const std::vector<DenseLayer>& layers);
  void decode_magnitude(const Map& in, const float* noisy, int frames, float* enhanced);
  void decode_phase(const Map& in, int frames, float* real, float* imag);

  const Network& network_;
  const Transform& transform_;
  const Kernels& kernels_;
  Pool pool_;
  std::vector<Scratch> scratch_;
  std::vector<float> zeros_;
  Past* past_ = nullptr;  // of the stream, if it is one
  Frames frames_{};
  long slot_ = 0, arena_size_ = 0;
  AlignedFloats arena_;
  std::vector<float> statistics_, gain_, shift_, sums_, deviations_, deviations_before_, context_;
  // Cosines and sines of the angles along time, [frames][2][ROTARY_PAIRS], from the frame before the first on.
  std::vector<float> time_rotation_;
  std::vector<float> noisy_, phase_, magnitude_, real_, imag_, windowed_;
};

}  // namespace imse
