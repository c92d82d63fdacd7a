// Sample rate conversion of a stream by a windowed sinc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace imse {

// A linear-phase filter: samples of the lower rate on either side, the cutoff in its cycles per sample, and the shape
// of Kaiser's window.
struct Filter {
  int half_width;
  double cutoff, kaiser_beta;
};

// For live sound, with little delay: 2.75 ms at 16 kHz. From 0.45 to 0.5 it falls by 70 dB.
constexpr Filter LIVE_FILTER = {44, 0.475, 6.76};
// For recordings: fitted to the one of soxr that Python uses, to which it agrees by 97 dB. From 0.457 to 0.5 it falls
// by 120 dB.
constexpr Filter RECORDING_FILTER = {98, 0.478436, 13.3};

class Resampler {
 public:
  // Rates in Hz.
  Resampler(int from, int to, const Filter& filter = LIVE_FILTER);

  // Inputs on either side of an output that it depends on.
  static int reach(int from, int to, const Filter& filter = LIVE_FILTER);

  // Outputs from one that is at the time of an input to the next such one; the first is output 0.
  static int period(int from, int to);

  // By which outputs are later than the inputs that they belong to.
  static double delay_ms(int from, int to);

  // Append to `out` what is ready after these samples: output n is at n * from / to of the input.
  void feed(const std::vector<float>& samples, std::vector<float>& out);

  // End the signal with silence, so that `out` gets as many samples as its `total`, and begin anew.
  void flush(std::int64_t total, std::vector<float>& out);

  void reset();

  // Outputs that are ready after so many inputs.
  std::int64_t ready(std::int64_t inputs) const;

 private:
  float output(std::int64_t number) const;
  // Inputs, counted from the beginning of the signal: the first one that is kept, and that an output needs.
  std::int64_t first_known() const;
  std::int64_t first_needed(std::int64_t number) const;

  const std::int64_t step_, steps_;     // from one output to the next are step_ / steps_ inputs
  const int reach_;                     // inputs on either side that count
  const int width_;                     // of them together, in whole vectors
  const int phases_;                    // times between two inputs that weights are for
  std::vector<float> weights_;          // [phases + 1, width]
  std::vector<float> recent_;           // the newest inputs, at first after silence ...
  std::int64_t fed_ = 0, written_ = 0;  // ... and how many there were of them and of outputs
};

}  // namespace imse
