#include "level.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../common/spectrum.h"

namespace imse {
namespace {

constexpr double RANGE_DB = 10, QUANTILE = 0.9, DEEPEST_DB = 50, SILENCE = 1e-60;
constexpr int FRAME = SAMPLE_RATE / 50, WINDOW = 16;
static_assert(SHORTEST_LEVELLED >= 2 * FRAME, "a frame on either side");

// With linear interpolation between the two values next to it.
double quantile(std::vector<double> values) {
  const double position = QUANTILE * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<long>(position);
  std::nth_element(values.begin(), below, values.end());
  if (below + 1 == values.end()) return *below;
  const double above = *std::min_element(below + 1, values.end());
  return *below + (above - *below) * (position - std::floor(position));
}

std::vector<double> variances(const std::vector<float>& segment) {
  std::vector<double> all(segment.size() / FRAME);
  for (size_t i = 0; i < all.size(); i++) {
    const float* frame = &segment[i * FRAME];
    double sum = 0, squares = 0;
    for (int n = 0; n < FRAME; n++) sum += frame[n];
    for (int n = 0; n < FRAME; n++) squares += (frame[n] - sum / FRAME) * (frame[n] - sum / FRAME);
    all[i] = squares / FRAME;
  }
  return all;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Decibels of the gain in the middle of each frame.
std::vector<double> frame_gains(const std::vector<double>& powers, double reference) {
  std::vector<double> level;
  level.reserve(powers.size());
  for (const double power : powers)
    level.push_back(10 * std::log10(std::max(power / reference, std::pow(10, -DEEPEST_DB / 10))));
  const size_t count = level.size(), window = std::min<size_t>(WINDOW, (count + 1) / 2), windows = count - window + 1;
  std::vector<double> quantiles(windows);
  for (size_t i = 0; i < windows; i++) {
    const auto first = level.begin() + static_cast<long>(i);
    quantiles[i] = quantile({first, first + static_cast<long>(window)});
  }
  std::vector<double> gains(count);
  for (size_t i = 0; i < count; i++) {
    // Of the window that ends here and of the one that begins here; towards an end there is only one of the two.
    double lower = std::numeric_limits<double>::infinity();
    if (i + 1 >= window) lower = quantiles[i + 1 - window];
    if (i < windows) lower = std::min(lower, quantiles[i]);
    const double at = std::max(lower, level[i] - RANGE_DB);
    gains[i] = std::clamp(at, -RANGE_DB, RANGE_DB) - at;
  }
  return gains;
}

}  // namespace

std::vector<float> levelling_gain(const std::vector<float>& segment) {
  std::vector<float> gain(segment.size(), 1.0f);
  const std::vector<double> powers = variances(segment);
  const double reference = std::max(quantile(powers), 1e-6 * mean(powers));
  if (reference < SILENCE) return gain;
  const std::vector<double> decibels = frame_gains(powers, reference);
  // Decibels are interpolated between the middles of frames, so the gain has a ratio from sample to sample.
  const auto from_decibels = [](double x) { return std::pow(10, x / 20); };
  std::vector<double> precise(segment.size(), from_decibels(decibels.back()));
  std::fill_n(precise.begin(), FRAME / 2, from_decibels(decibels[0]));
  for (size_t i = 0; i + 1 < decibels.size(); i++) {
    const double slope = (decibels[i + 1] - decibels[i]) / FRAME, ratio = from_decibels(slope);
    double at = from_decibels(decibels[i] + slope / 2);  // half a sample behind the middle
    for (int n = 0; n < FRAME; n++, at *= ratio) precise[i * FRAME + FRAME / 2 + n] = at;
  }
  double squares = 0;
  for (size_t i = 0; i < segment.size(); i++) squares += segment[i] * precise[i] * (segment[i] * precise[i]);
  const double rms = std::sqrt(squares / static_cast<double>(segment.size()));
  for (size_t i = 0; i < segment.size(); i++) gain[i] = static_cast<float>(precise[i] / rms);
  return gain;
}

}  // namespace imse
