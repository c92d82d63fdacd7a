#include "resampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kaiser.h"

namespace imse {
namespace {

// Where outputs are at more different times between two inputs than that, weights are interpolated.
constexpr int MOST_PHASES = 512;
// Sums that are computed at once, so that the compiler uses vectors.
constexpr int LANES = 8;

double scale(int from, int to) { return std::min(1.0, static_cast<double>(to) / from); }

float product(const float* a, const float* b, int width) {
  float sums[LANES] = {};
  for (int i = 0; i < width; i += LANES)
    for (int lane = 0; lane < LANES; lane++) sums[lane] += a[i + lane] * b[i + lane];
  return std::accumulate(sums, sums + LANES, 0.0f);
}

// [phases + 1, width]: of the inputs up to `reach` after the one at an output's time, or before it by a phase.
std::vector<float> weights(const Filter& filter, double scale, int reach, int width, int phases) {
  std::vector<float> rows;
  rows.reserve(static_cast<size_t>(phases + 1) * width);
  for (int phase = 0; phase <= phases; phase++) {
    for (int i = 0; i < width; i++) {
      const double x = (reach + 1 - width + i - static_cast<double>(phase) / phases) * scale;
      const double position = x / filter.half_width;
      const double window = std::fabs(position) < 1 ? kaiser(position, filter.kaiser_beta) : 0;
      rows.push_back(static_cast<float>(scale * 2 * filter.cutoff * sinc(2 * filter.cutoff * x) * window));
    }
  }
  return rows;
}

}  // namespace

Resampler::Resampler(int from, int to, const Filter& filter)
    : step_(from / std::gcd(from, to)),
      steps_(period(from, to)),
      reach_(reach(from, to, filter)),
      width_((2 * reach_ + LANES) / LANES * LANES),
      phases_(static_cast<int>(std::min<std::int64_t>(steps_, MOST_PHASES))),
      weights_(weights(filter, scale(from, to), reach_, width_, phases_)) {
  reset();
}

int Resampler::reach(int from, int to, const Filter& filter) {
  return static_cast<int>(std::ceil(filter.half_width / scale(from, to)));
}

int Resampler::period(int from, int to) { return to / std::gcd(from, to); }

double Resampler::delay_ms(int from, int to) { return 1000.0 * LIVE_FILTER.half_width / std::min(from, to); }

std::int64_t Resampler::ready(std::int64_t inputs) const {
  // The last input that output n needs is floor(n * step / steps) + reach.
  const std::int64_t last = inputs - 1 - reach_;
  return last < 0 ? 0 : ((last + 1) * steps_ - 1) / step_ + 1;
}

void Resampler::feed(const std::vector<float>& samples, std::vector<float>& out) {
  recent_.insert(recent_.end(), samples.begin(), samples.end());
  fed_ += static_cast<std::int64_t>(samples.size());
  for (const std::int64_t end = ready(fed_); written_ < end; written_++) out.push_back(output(written_));
  const std::int64_t unneeded = first_needed(written_) - first_known();
  if (unneeded > static_cast<std::int64_t>(recent_.size()) / 2)
    recent_.erase(recent_.begin(), recent_.begin() + unneeded);
}

void Resampler::flush(std::int64_t total, std::vector<float>& out) {
  const std::int64_t needed = total > 0 ? (total - 1) * step_ / steps_ + reach_ + 1 : 0;
  const std::int64_t already = static_cast<std::int64_t>(out.size()) - written_;
  feed(std::vector<float>(static_cast<size_t>(std::max<std::int64_t>(0, needed - fed_))), out);
  out.resize(static_cast<size_t>(already + total));
  reset();
}

void Resampler::reset() {
  fed_ = written_ = 0;
  recent_.assign(static_cast<size_t>(-first_needed(0)), 0.0f);
}

std::int64_t Resampler::first_known() const { return fed_ - static_cast<std::int64_t>(recent_.size()); }

std::int64_t Resampler::first_needed(std::int64_t number) const {
  return number * step_ / steps_ + reach_ + 1 - width_;
}

float Resampler::output(std::int64_t number) const {
  const std::int64_t after = number * step_ % steps_ * phases_;  // the input before it, in phases times steps
  const auto phase = static_cast<int>(after / steps_);
  const auto between = static_cast<float>(after % steps_) / static_cast<float>(steps_);
  const float* inputs = &recent_[static_cast<size_t>(first_needed(number) - first_known())];
  const float* row = &weights_[static_cast<size_t>(phase) * width_];
  const float sample = product(row, inputs, width_);
  return between > 0 ? sample + between * (product(row + width_, inputs, width_) - sample) : sample;
}

}  // namespace imse
