#include "resampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kaiser.h"

namespace imse {
namespace {

// Samples of the lower rate on either side, and the cutoff in its cycles per sample: from 0.45 to 0.5 the filter falls
// by 70 dB.
constexpr int HALF_WIDTH = 44;
constexpr double CUTOFF = 0.475, KAISER_BETA = 6.76;
// Values of the kernel from one sample of the lower rate to the next, between which it is interpolated.
constexpr int FINENESS = 512;

std::vector<float> kernel() {
  std::vector<float> values;
  for (int i = 0; i <= HALF_WIDTH * FINENESS + 1; i++) {
    const double x = static_cast<double>(i) / FINENESS;
    values.push_back(static_cast<float>(2 * CUTOFF * sinc(2 * CUTOFF * x) * kaiser(x / HALF_WIDTH, KAISER_BETA)));
  }
  return values;
}

}  // namespace

Resampler::Resampler(int from, int to)
    : step_(from / std::gcd(from, to)),
      steps_(to / std::gcd(from, to)),
      scale_(std::min(1.0, static_cast<double>(to) / from)),
      reach_(static_cast<int>(std::ceil(HALF_WIDTH / scale_))),
      kernel_(kernel()) {}

double Resampler::delay_ms(int from, int to) { return 1000.0 * HALF_WIDTH / std::min(from, to); }

std::int64_t Resampler::ready(std::int64_t inputs) const {
  // The last input that output n needs is floor(n * step / steps) + reach.
  const std::int64_t last = inputs - 1 - reach_;
  return last < 0 ? 0 : ((last + 1) * steps_ - 1) / step_ + 1;
}

void Resampler::feed(const std::vector<float>& samples, std::vector<float>& out) {
  recent_.insert(recent_.end(), samples.begin(), samples.end());
  fed_ += static_cast<std::int64_t>(samples.size());
  for (const std::int64_t end = ready(fed_); written_ < end; written_++) out.push_back(output(written_));
  const std::int64_t first = written_ * step_ / steps_ - reach_;  // that is still needed
  const std::int64_t unneeded = first - (fed_ - static_cast<std::int64_t>(recent_.size()));
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
  recent_.clear();
  fed_ = written_ = 0;
}

float Resampler::output(std::int64_t number) const {
  const std::int64_t at = number * step_;
  const std::int64_t before = at / steps_;
  const double offset = static_cast<double>(at % steps_) / static_cast<double>(steps_);
  const std::int64_t start = fed_ - static_cast<std::int64_t>(recent_.size());  // of what is known
  const std::int64_t first = std::max(before - reach_, start), last = std::min(before + reach_, fed_ - 1);
  double sum = 0;
  for (std::int64_t i = first; i <= last; i++) {
    const double distance = std::fabs(static_cast<double>(i - before) - offset) * scale_ * FINENESS;
    if (distance >= HALF_WIDTH * FINENESS) continue;
    const auto nearest = static_cast<int>(distance);
    const float weight =
        kernel_[nearest] + static_cast<float>(distance - nearest) * (kernel_[nearest + 1] - kernel_[nearest]);
    sum += weight * recent_[static_cast<size_t>(i - start)];
  }
  return static_cast<float>(sum * scale_);
}

}  // namespace imse
