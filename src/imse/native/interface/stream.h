// A signal that comes in pieces: every hop the network is given the last window of it.
#pragma once

#include <vector>

#include "imse.h"
#include "model.h"

namespace imse {

// The settings for a latency of at most so many milliseconds. Throws Error where there are none.
imse_stream_settings settings_for(double latency_ms);

// The functions of imse.h on streams.
class Stream {
 public:
  Stream(Model& model, const imse_stream_settings& settings);

  size_t latency() const;
  size_t feed(const float* noisy, size_t samples, float* enhanced);
  size_t flush(float* enhanced);
  void reset();

 private:
  // Enhance the window that ends here, and write what is ready but for the last `held` samples of it, which are kept
  // to fade into the next window.
  float* step(size_t ready, size_t held, float* out);

  Model& model_;
  const size_t window_, hop_, look_ahead_, fade_;
  const float kept_;           // share of the input in the output
  std::vector<float> recent_;  // the newest samples, a window of them if there are so many ...
  size_t fed_ = 0;             // ... of all
  size_t written_ = 0;
  std::vector<float> fading_;  // what the last window made of the samples after those written
};

}  // namespace imse
