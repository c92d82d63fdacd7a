#include "gain.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "../common/spectrum.h"
#include "kaiser.h"

namespace imse {
namespace {

constexpr int GUIDE_BEGIN = 175, GUIDE_END = 230;  // bins: 5.5 to 7.2 kHz
constexpr double STRIP_HZ = 7600, STRIP_EDGE_HZ = 200;
constexpr int GUIDE_FRAMES = 5, LIMIT_HOPS = 65;
static_assert(LIMIT_REACH == LIMIT_HOPS / 2 + (LIMIT_HOPS + 2) / 2 + 1, "a window of windows, and interpolation");
const double LIMIT = std::pow(10, 0.5 / 10);

// The kernel of `imse.signal.fir.high_pass_kernel` at 16 kHz.
std::vector<float> high_pass_kernel(double cutoff_hz, double width_hz) {
  constexpr double ATTENUATION_DB = 70;
  const double beta = 0.1102 * (ATTENUATION_DB - 8.7);
  const auto half =
      static_cast<int>(std::ceil((ATTENUATION_DB - 7.95) / (2.285 * 2 * PI * width_hz / SAMPLE_RATE) / 2));
  std::vector<double> low_pass;
  for (int i = -half; i <= half; i++)
    low_pass.push_back(sinc(2 * cutoff_hz / SAMPLE_RATE * i) * kaiser(static_cast<double>(i) / half, beta));
  const double sum = std::accumulate(low_pass.begin(), low_pass.end(), 0.0);
  std::vector<float> kernel;
  for (int i = 0; i <= 2 * half; i++) kernel.push_back(static_cast<float>((i == half) - low_pass[i] / sum));
  return kernel;
}

// reduce(first, last) of the `size` values around each one; the first and the last value are repeated beyond the ends.
template <class Reduce>
std::vector<double> over_windows(const std::vector<double>& values, int size, const Reduce& reduce) {
  const int around = size / 2;
  std::vector<double> padded(around, values.front());
  padded.insert(padded.end(), values.begin(), values.end());
  padded.insert(padded.end(), around, values.back());
  std::vector<double> reduced(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    const auto first = padded.begin() + static_cast<long>(i);
    reduced[i] = reduce(first, first + size);
  }
  return reduced;
}

std::vector<double> means(const std::vector<double>& values, int size) {
  return over_windows(values, size, [&](auto first, auto last) {
    double sum = 0;
    for (; first != last; ++first) sum += *first;
    return sum / size;
  });
}

// Values a hop apart, from sample `first` on, interpolated.
void at_samples(const std::vector<double>& values, double first, long samples, float* out) {
  const long last = static_cast<long>(values.size()) - 1;
  for (long i = 0; i < samples; i++) {
    const double position = std::clamp((static_cast<double>(i) - first) / HOP_LENGTH, 0.0, static_cast<double>(last));
    const long before = static_cast<long>(position), after = std::min(before + 1, last);
    const double share = position - static_cast<double>(before);
    out[i] = static_cast<float>(values[before] + share * (values[after] - values[before]));
  }
}

double guide_power(const float* magnitudes) {
  double power = 0;
  for (int f = GUIDE_BEGIN; f < GUIDE_END; f++) power += std::pow(magnitudes[f], 2 / COMPRESSION);
  return power;
}

}  // namespace

std::vector<double> hop_powers(const std::vector<float>& signal) {
  std::vector<double> powers((signal.size() + HOP_LENGTH - 1) / HOP_LENGTH);
  for (size_t i = 0; i < signal.size(); i++)
    powers[i / HOP_LENGTH] += static_cast<double>(signal[i]) * signal[i] / HOP_LENGTH;
  return powers;
}

std::vector<float> limiting_gain(const std::vector<double>& noisy, const std::vector<double>& enhanced,
                                 size_t samples) {
  std::vector<double> gains = means(noisy, LIMIT_HOPS);
  const std::vector<double> after = means(enhanced, LIMIT_HOPS);
  for (size_t i = 0; i < gains.size(); i++) {
    const double allowed = LIMIT * gains[i];
    gains[i] = after[i] > allowed ? std::sqrt(allowed / after[i]) : 1;
  }
  // Between hops the gain is interpolated, so the hops beside a window matter, too.
  gains = over_windows(gains, LIMIT_HOPS + 2, [](auto first, auto last) { return *std::min_element(first, last); });
  std::vector<float> gain(samples);
  const size_t skipped = gains.size() - (samples + HOP_LENGTH - 1) / HOP_LENGTH;
  at_samples(gains, HOP_LENGTH / 2.0 - static_cast<double>(skipped * HOP_LENGTH), static_cast<long>(samples),
             gain.data());
  return gain;
}

std::vector<float> guide_gain(const float* noisy, const float* enhanced, int frames, long samples) {
  std::vector<double> gains(frames);
  for (int t = 0; t < frames; t++) {
    const long at = static_cast<long>(t) * SPECTRUM_BINS;
    const double before = guide_power(noisy + at), after = guide_power(enhanced + at);
    gains[t] = before > 0 ? std::min(std::sqrt(after / before), 1.0) : 0;
  }
  std::vector<float> gain(samples);
  at_samples(means(gains, GUIDE_FRAMES), 0, samples, gain.data());
  return gain;
}

void follow_guide(const std::vector<float>& noisy, const std::vector<float>& gain, std::vector<float>& enhanced) {
  static const std::vector<float> kernel = high_pass_kernel(STRIP_HZ, STRIP_EDGE_HZ);
  const size_t samples = enhanced.size(), half = kernel.size() / 2;
  // Beyond both ends, the signal is taken to go on at its first and at its last value.
  std::vector<float> difference(samples + 2 * half), filtered(samples);
  for (size_t i = 0; i < samples; i++) difference[half + i] = gain[i] * noisy[i] - enhanced[i];
  std::fill_n(difference.begin(), half, difference[half]);
  std::fill_n(difference.end() - static_cast<long>(half), half, difference[half + samples - 1]);
  for (size_t k = 0; k < kernel.size(); k++) {
    const float weight = kernel[k];
    const float* shifted = difference.data() + k;
    for (size_t i = 0; i < samples; i++) filtered[i] += weight * shifted[i];
  }
  for (size_t i = 0; i < samples; i++) enhanced[i] += filtered[i];
}

}  // namespace imse
