// A signal of any rate that comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../signal/resampler.h"
#include "imse.h"
#include "model.h"
#include "sliding_window.h"

namespace imse {

// The settings for the best quality within a latency. Throws Error where there are none.
imse_stream_settings settings_for(double latency_ms, int sample_rate);

// The functions of imse.h on streams.
class Stream {
 public:
  // Throws Error for settings that do not fit.
  Stream(Model& model, const imse_stream_settings& settings);

  size_t latency() const { return latency_; }
  size_t feed(const float* noisy, size_t samples, float* enhanced);
  size_t flush(float* enhanced);
  void reset();

 private:
  bool resampled() const { return rate_ != IMSE_SAMPLE_RATE; }
  bool with_high_band() const { return rate_ > IMSE_SAMPLE_RATE; }

  // A signal that came from 16 kHz back to the rate of the stream.
  struct Returned {
    Resampler resampler;
    std::vector<float> ready;
  };

  size_t find_latency(int window) const;
  // What belongs to the same samples at 16 kHz.
  void take(const Output& output);
  // Mix and write what is ready.
  size_t write(float* enhanced);

  const int rate_;
  const float kept_;  // share of the input in the output
  SlidingWindow window_;
  Resampler down_;
  std::int64_t fed_ = 0;
  std::vector<float> waiting_;  // inputs that nothing was written for
  std::vector<float> narrow_;   // inputs at 16 kHz that have not come out of the window, for the high band
  Returned enhanced_, without_high_band_, gain_;
  const size_t latency_;
};

}  // namespace imse
