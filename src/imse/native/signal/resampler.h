// Sample rate conversion of a stream, with little delay: a windowed sinc of 2.75 ms on either side at 16 kHz. Files are
// converted by soxr, whose filters are better and wait for five times as long or more.
#pragma once

#include <cstdint>
#include <vector>

namespace imse {

class Resampler {
 public:
  // Rates in Hz.
  Resampler(int from, int to);

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

  const std::int64_t step_, steps_;  // from one output to the next are step_ / steps_ inputs
  const double scale_;               // zero crossings of the kernel in an input
  const int reach_;                  // inputs on either side that count
  std::vector<float> kernel_;
  std::vector<float> recent_;           // the newest inputs ...
  std::int64_t fed_ = 0, written_ = 0;  // ... and how many there were of them and of outputs
};

}  // namespace imse
