#include "stream.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "../common/error.h"
#include "checks.h"

namespace imse {
namespace {

constexpr int MAX_WINDOW = 1 << 20;
// Samples of a frame at the lowest level of the U-Net, and before the middle of a frame.
constexpr int GRID = IMSE_HOP << (LEVELS - 1), HALF_FRAME = N_FFT / 2;
constexpr int SAMPLES_PER_MS = IMSE_SAMPLE_RATE / 1000;

// From the shortest latency on: window, what is recomputed, hop, look-ahead and fade, in milliseconds.
constexpr int CHOICES[][5] = {{1000, 125, 25, 33, 8},  {1000, 125, 50, 50, 8},  {1000, 150, 50, 58, 8},
                              {1000, 175, 50, 75, 8},  {1000, 200, 50, 100, 8}, {1000, 350, 100, 150, 8},
                              {1500, 625, 250, 250, 8}};

void expect(bool fine, const std::string& rule) {
  if (!fine) throw Error(IMSE_INVALID_ARGUMENT, "a stream needs " + rule);
}

const imse_stream_settings& checked(const imse_stream_settings& settings) {
  check_rate(settings.sample_rate);
  expect(settings.window >= IMSE_SHORTEST_SEGMENT && settings.window <= MAX_WINDOW,
         "a window of " + std::to_string(IMSE_SHORTEST_SEGMENT) + " to " + std::to_string(MAX_WINDOW) + " samples");
  expect(settings.hop >= 1 && IMSE_SAMPLE_RATE % settings.hop == 0,
         "a hop that is a divisor of " + std::to_string(IMSE_SAMPLE_RATE));
  expect(settings.window % GRID == 0 && settings.recomputed % GRID == 0 && settings.hop % GRID == 0,
         "a window, a part of it that is recomputed, and a hop that are multiples of " + std::to_string(GRID));
  expect(settings.look_ahead >= 0 && settings.fade >= 0, "no size below 0");
  // Everything that comes out of a step is whole in it.
  const auto wide = [](std::int32_t size) { return static_cast<std::int64_t>(size); };
  expect(wide(settings.hop) + settings.look_ahead + settings.fade + HALF_FRAME <= settings.recomputed,
         "to recompute more than hop, look-ahead and fade: by " + std::to_string(HALF_FRAME) + " samples");
  expect(wide(settings.recomputed) + Session::LEAD <= settings.window,
         "a window that is longer than what is recomputed by " + std::to_string(Session::LEAD) + " samples");
  check_attenuation_limit(settings.attenuation_limit_db);
  return settings;
}

}  // namespace

Stream::Stream(Model& model, const imse_stream_settings& settings)
    : rate_(checked(settings).sample_rate),
      kept_(share_kept(settings.attenuation_limit_db)),
      window_(model, settings, with_high_band()),
      down_(rate_, IMSE_SAMPLE_RATE),
      enhanced_{{IMSE_SAMPLE_RATE, rate_}, {}},
      without_high_band_(enhanced_),
      gain_(enhanced_),
      latency_(find_latency(settings.window)) {}

// What is ready depends on the number of samples alone. The steps of a hop repeat from second to second, and the first
// comes within a window.
size_t Stream::find_latency(int window) const {
  const std::int64_t begun = static_cast<std::int64_t>(window) * rate_ / IMSE_SAMPLE_RATE;
  std::int64_t most = 0;
  for (std::int64_t fed = 1; fed <= begun + 2L * rate_; fed++) {
    std::int64_t ready = resampled() ? down_.ready(fed) : fed;
    ready = static_cast<std::int64_t>(window_.ready(static_cast<size_t>(ready)));
    if (resampled()) ready = std::min(enhanced_.resampler.ready(ready), fed);
    most = std::max(most, fed - ready);
  }
  return static_cast<size_t>(most);
}

size_t Stream::feed(const float* noisy, size_t samples, float* enhanced) {
  check_signal(noisy, samples);
  const std::vector<float> signal(noisy, noisy + samples);
  fed_ += static_cast<std::int64_t>(samples);
  waiting_.insert(waiting_.end(), signal.begin(), signal.end());
  std::vector<float> narrow;
  if (resampled())
    down_.feed(signal, narrow);
  else
    narrow = signal;
  if (with_high_band()) narrow_.insert(narrow_.end(), narrow.begin(), narrow.end());
  take(window_.feed(narrow));
  return write(enhanced);
}

size_t Stream::flush(float* enhanced) {
  if (resampled()) {
    std::vector<float> narrow;
    down_.flush((fed_ * IMSE_SAMPLE_RATE + rate_ - 1) / rate_, narrow);
    if (with_high_band()) narrow_.insert(narrow_.end(), narrow.begin(), narrow.end());
    take(window_.feed(narrow));
  }
  take(window_.flush());
  if (resampled())
    for (Returned* signal : {&enhanced_, &without_high_band_, &gain_}) signal->resampler.flush(fed_, signal->ready);
  const size_t count = write(enhanced);
  reset();
  return count;
}

void Stream::reset() {
  window_.reset();
  down_.reset();
  fed_ = 0;
  waiting_.clear();
  narrow_.clear();
  for (Returned* signal : {&enhanced_, &without_high_band_, &gain_}) {
    signal->resampler.reset();
    signal->ready.clear();
  }
}

void Stream::take(const Output& output) {
  if (!resampled()) {
    enhanced_.ready.insert(enhanced_.ready.end(), output.enhanced.begin(), output.enhanced.end());
    return;
  }
  enhanced_.resampler.feed(output.enhanced, enhanced_.ready);
  if (!with_high_band()) return;
  const auto out = narrow_.begin() + static_cast<long>(output.enhanced.size());
  without_high_band_.resampler.feed({narrow_.begin(), out}, without_high_band_.ready);
  gain_.resampler.feed(output.high_band, gain_.ready);
  narrow_.erase(narrow_.begin(), out);
}

size_t Stream::write(float* enhanced) {
  const size_t count = std::min(enhanced_.ready.size(), waiting_.size());
  for (size_t i = 0; i < count; i++) {
    float sample = enhanced_.ready[i];
    if (with_high_band())
      sample += std::clamp(gain_.ready[i], 0.0f, 1.0f) * (waiting_[i] - without_high_band_.ready[i]);
    enhanced[i] = kept_ * waiting_[i] + (1 - kept_) * sample;
  }
  const auto drop = [&](std::vector<float>& signal) {
    signal.erase(signal.begin(), signal.begin() + static_cast<long>(count));
  };
  drop(waiting_);
  drop(enhanced_.ready);
  if (with_high_band()) drop(without_high_band_.ready), drop(gain_.ready);
  return count;
}

imse_stream_settings settings_for(double latency_ms, int sample_rate) {
  check_rate(sample_rate);
  const double resampling =
      sample_rate == IMSE_SAMPLE_RATE ? 0 : 2 * Resampler::delay_ms(IMSE_SAMPLE_RATE, sample_rate);
  const auto total = [&](const int(&choice)[5]) { return choice[2] + choice[3] + choice[4] + resampling; };
  const int* best = nullptr;
  for (const auto& choice : CHOICES)
    if (total(choice) <= latency_ms) best = choice;
  if (!best)
    throw Error(IMSE_INVALID_ARGUMENT,
                "the lowest latency is " + std::to_string(static_cast<int>(std::ceil(total(CHOICES[0])))) + " ms");
  const auto samples = [&](int i) { return best[i] * SAMPLES_PER_MS; };
  return {sample_rate, samples(0), samples(1), samples(2), samples(3), samples(4), INFINITY};
}

}  // namespace imse
