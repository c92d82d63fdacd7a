#include "stream.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "../common/error.h"
#include "../signal/segments.h"
#include "checks.h"

namespace imse {
namespace {

constexpr int SAMPLES_PER_MS = IMSE_SAMPLE_RATE / 1000;
constexpr int MAX_WINDOW = 1 << 20;

// By latency: window, hop, look-ahead and fade in milliseconds.
constexpr int CHOICES[][4] = {{500, 50, 0, 16}, {500, 50, 50, 16}, {500, 100, 25, 16}, {1920, 125, 125, 16}};

void expect(bool fine, const std::string& rule) {
  if (!fine) throw Error(IMSE_INVALID_ARGUMENT, "a stream needs " + rule);
}

const imse_stream_settings& checked(const imse_stream_settings& settings) {
  expect(settings.window >= IMSE_SHORTEST_SEGMENT && settings.window <= MAX_WINDOW,
         "a window of " + std::to_string(IMSE_SHORTEST_SEGMENT) + " to " + std::to_string(MAX_WINDOW) + " samples");
  expect(settings.hop >= 1 && settings.look_ahead >= 0 && settings.fade >= 0, "a hop from 1, no size below 0");
  // Everything that comes out of a step lies in its window.
  const auto wide = [](std::int32_t size) { return static_cast<std::int64_t>(size); };
  expect(wide(settings.hop) + settings.look_ahead + settings.fade <= settings.window,
         "a window that holds hop, look-ahead and fade");
  check_attenuation_limit(settings.attenuation_limit_db);
  return settings;
}

}  // namespace

imse_stream_settings settings_for(double latency_ms) {
  const int* best = nullptr;
  for (const auto& choice : CHOICES)
    if (choice[1] + choice[2] + choice[3] <= latency_ms) best = choice;
  if (!best) {
    const int least = CHOICES[0][1] + CHOICES[0][2] + CHOICES[0][3];
    throw Error(IMSE_INVALID_ARGUMENT, "the lowest latency is " + std::to_string(least) + " ms");
  }
  return {best[0] * SAMPLES_PER_MS, best[1] * SAMPLES_PER_MS, best[2] * SAMPLES_PER_MS, best[3] * SAMPLES_PER_MS,
          INFINITY};
}

Stream::Stream(Model& model, const imse_stream_settings& settings)
    : model_(model),
      window_(checked(settings).window),
      hop_(settings.hop),
      look_ahead_(settings.look_ahead),
      fade_(settings.fade),
      kept_(share_kept(settings.attenuation_limit_db)) {}

size_t Stream::latency() const { return hop_ - 1 + look_ahead_ + fade_; }

size_t Stream::feed(const float* noisy, size_t samples, float* enhanced) {
  check_signal(noisy, samples);
  float* out = enhanced;
  while (samples) {
    const size_t taken = std::min(samples, hop_ - fed_ % hop_);
    recent_.insert(recent_.end(), noisy, noisy + taken);
    if (recent_.size() >= 2 * window_) recent_.erase(recent_.begin(), recent_.end() - static_cast<long>(window_));
    fed_ += taken;
    noisy += taken;
    samples -= taken;
    if (fed_ % hop_ == 0 && fed_ > look_ahead_) out = step(fed_ - look_ahead_, fade_, out);
  }
  return out - enhanced;
}

size_t Stream::flush(float* enhanced) {
  float* out = enhanced;
  if (fed_ > written_) out = step(fed_, 0, out);
  reset();
  return out - enhanced;
}

void Stream::reset() {
  recent_.clear();
  fading_.clear();
  fed_ = written_ = 0;
}

float* Stream::step(size_t ready, size_t held, float* out) {
  const size_t known = std::min(recent_.size(), window_);
  const std::vector<float> window = mirrored_beginning(recent_.data() + (recent_.size() - known), known, window_);
  std::vector<float> enhanced(window_);
  model_.enhance_segment(window.data(), window_, enhanced.data());
  for (size_t i = 0; i < window_; i++) enhanced[i] = kept_ * window[i] + (1 - kept_) * enhanced[i];
  const float* newest = enhanced.data() + window_;  // behind the last sample that was fed
  const float* from = newest - (fed_ - written_);
  std::vector<float> joined(from, newest - (fed_ - ready));
  for (size_t i = 0; i < std::min(fading_.size(), joined.size()); i++)
    joined[i] = fading_[i] + fade_in(i, fade_) * (joined[i] - fading_[i]);
  fading_.clear();
  if (joined.size() <= held) return out;  // nothing has come out yet
  const size_t whole = joined.size() - held;
  std::copy_n(joined.begin(), whole, out);
  fading_.assign(joined.begin() + static_cast<long>(whole), joined.end());
  written_ += whole;
  return out + whole;
}

}  // namespace imse
