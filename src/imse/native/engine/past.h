// What the network keeps of a signal that it is given piece by piece.
//
// Frames that will not be computed again stay in the maps, as far as layers look back. What they add to the statistics
// of instance norms and to the sums of attentions is added up, and forgotten exponentially.
#pragma once

#include <deque>
#include <vector>

#include "kernels.h"
#include "memory.h"

namespace imse {

// Statistics of a norm's input, added up over frames.
struct NormTotals {
  double frames = 0;
  std::vector<double> means, squares, deviations;  // of rows: means, their squares, squared distances from them

  // One frame: the statistics of its rows, as Kernels::row_statistics writes them.
  void add(const float* statistics, int channels);

  // At the end of a step, with the part that is kept.
  void leave(double kept);
};

// The sums for an attention's context, over frames; keys are rotated by their distance in time from the first frame
// that is computed.
struct AttentionTotals {
  double frames = 0;
  std::vector<double> sums;

  // One frame: HEAD_SUMS of each head, and the cosines and sines of its angles along time.
  void add(const float* of_heads, const float* rotation);

  // At the end of a step: from the next one on, the first frame is the one with these angles.
  void leave(const float* rotation, double kept);
};

// Maps, norms and attentions come in the order in which the network asks for them, the same at every step.
class Past {
 public:
  // Frames of the U-Net's lowest level that layers look back, at most: dense layers do, at the highest one.
  static constexpr int REACH = 8;

  // Of the signal: frames that are computed at a step, and those that leave them at every step, multiples of the
  // frames that become one in the U-Net. `memory` is how many frames later a frame counts 1 / e of what it did.
  Past(int computed, int leaving, double memory);

  // Frames of a map that leave those that are computed.
  int leaving(const Map& map) const { return leaving_ * map.frames.computed() / computed_; }

  // Back to the beginning of a signal; the memory is kept.
  void reset();

  // The part that is left of a sum after a step.
  double kept() const { return kept_; }

  // The frames of the next step. The first call begins with a signal.
  Frames next_step();

  // Of a map with these frames: with zeros behind each row, and the frames before as they were left.
  Map map(int channels, const Frames& frames, int bins);
  NormTotals& norm() { return next(norms_, norm_); }
  AttentionTotals& attention() { return next(attentions_, attention_); }

 private:
  template <class Part>
  static Part& next(std::deque<Part>& parts, size_t& number) {
    if (number == parts.size()) parts.emplace_back();
    return parts[number++];
  }

  const int computed_, leaving_;
  const double kept_;
  Frames frames_;  // of the last step
  std::deque<AlignedFloats> maps_;
  std::deque<NormTotals> norms_;
  std::deque<AttentionTotals> attentions_;
  size_t map_ = 0, norm_ = 0, attention_ = 0;
};

}  // namespace imse
