// The network on a signal at 16 kHz that comes in pieces: every hop it is given the last window of it.
#pragma once

#include <vector>

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
  // Enhance the window that ends here, and append what is ready, but for its last `held` samples, which are kept to
  // fade into what the next window makes of them.
  void step(size_t ready, size_t held, Output& out);

  // The same for one of the two outputs, of which a window is given.
  void join(const std::vector<float>& window, size_t ready, size_t held, std::vector<float>& fading,
            std::vector<float>& out) const;

  Model& model_;
  const size_t window_, hop_, look_ahead_, fade_;
  const bool with_high_band_;
  std::vector<float> recent_;  // the newest samples, a window of them if there are so many ...
  size_t fed_ = 0;             // ... of all
  size_t written_ = 0;
  // What the last window made of the samples behind those that were written.
  Output fading_;
};

}  // namespace imse
