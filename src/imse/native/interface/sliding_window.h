// The network on a signal at 16 kHz that comes in pieces: at every hop, its newest part is enhanced again.
#pragma once

#include <vector>

#include "../engine/past.h"
#include "imse.h"
#include "model.h"

namespace imse {

// What came out: the enhanced signal, and the gain for what there is above 8 kHz.
struct Output {
  std::vector<float> enhanced, high_band;
};

class SlidingWindow {
 public:
  // The high band is left empty where it is not wanted.
  SlidingWindow(Model& model, const imse_stream_settings& settings, bool with_high_band);

  // Samples that have come out when so many were fed.
  size_t ready(size_t fed) const;

  Output feed(const std::vector<float>& samples);

  // The last samples come out, and it is at its beginning again.
  Output flush();
  void reset();

 private:
  // Append samples to the recent ones, up to the next step.
  void take(const float* samples, size_t count);

  // Enhance what is recomputed, up to the newest sample, and append what is ready, but for its last `held` samples,
  // which are kept to fade into what the next step makes of them.
  void step(size_t ready, size_t held, Output& out);

  // What a step makes of the newest samples that it recomputes.
  Output enhance_newest();

  // Append one of the two outputs, of which the newest samples are given.
  void join(const std::vector<float>& newest, size_t ready, size_t held, std::vector<float>& fading,
            std::vector<float>& out) const;

  Model& model_;
  const size_t window_, recomputed_, hop_, look_ahead_, fade_;
  const bool with_high_band_;
  Past past_;
  std::vector<float> recent_;  // the newest samples, a window of them if there are so many ...
  size_t fed_ = 0;             // ... of all
  size_t written_ = 0;
  // Powers of hops before those that are recomputed, for the limit of the level.
  std::vector<double> noisy_powers_, enhanced_powers_;
  // What the last step made of the samples behind those that were written.
  Output fading_;
};

}  // namespace imse
