#include "sliding_window.h"

#include <algorithm>

#include "../signal/gain.h"
#include "../signal/segments.h"
#include "levelled.h"

namespace imse {

SlidingWindow::SlidingWindow(Model& model, const imse_stream_settings& settings, bool with_high_band)
    : model_(model),
      window_(settings.window),
      recomputed_(settings.recomputed),
      hop_(settings.hop),
      look_ahead_(settings.look_ahead),
      fade_(settings.fade),
      with_high_band_(with_high_band),
      past_(settings.recomputed / HOP_LENGTH, settings.hop / HOP_LENGTH,
            static_cast<double>(settings.window) / 2 / HOP_LENGTH) {}

size_t SlidingWindow::ready(size_t fed) const {
  const size_t computed = fed / hop_ * hop_;
  return computed - std::min(computed, look_ahead_ + fade_);
}

Output SlidingWindow::feed(const std::vector<float>& samples) {
  Output out;
  for (size_t next = 0; next < samples.size();) {
    const size_t count = std::min(samples.size() - next, hop_ - fed_ % hop_);
    take(&samples[next], count);
    next += count;
    if (fed_ % hop_ == 0 && fed_ > look_ahead_ + fade_) step(fed_ - look_ahead_, fade_, out);
  }
  return out;
}

Output SlidingWindow::flush() {
  Output out;
  if (fed_ > written_) {
    // Steps are a hop apart, so the signal goes on to the next one as its mirror image.
    const size_t end = fed_, missing = hop_ - fed_ % hop_;
    const std::vector<float> longer = mirrored_end(recent_.data(), recent_.size(), recent_.size() + missing);
    take(&longer[recent_.size()], missing);
    step(end, 0, out);
  }
  reset();
  return out;
}

void SlidingWindow::reset() {
  past_.reset();
  recent_.clear();
  noisy_powers_.clear();
  enhanced_powers_.clear();
  fading_ = {};
  fed_ = written_ = 0;
}

void SlidingWindow::take(const float* samples, size_t count) {
  recent_.insert(recent_.end(), samples, samples + count);
  if (recent_.size() >= 2 * window_) recent_.erase(recent_.begin(), recent_.end() - static_cast<long>(window_));
  fed_ += count;
}

void SlidingWindow::step(size_t ready, size_t held, Output& out) {
  const size_t before = out.enhanced.size();
  const Output newest = enhance_newest();
  join(newest.enhanced, ready, held, fading_.enhanced, out.enhanced);
  if (with_high_band_) join(newest.high_band, ready, held, fading_.high_band, out.high_band);
  written_ += out.enhanced.size() - before;
}

Output SlidingWindow::enhance_newest() {
  const size_t known = std::min(recent_.size(), window_);
  const std::vector<float> window = mirrored_beginning(recent_.data() + (recent_.size() - known), known, window_);
  const Levelled levelled(window.data(), window_);
  const size_t first = window_ - recomputed_;
  Output output{std::vector<float>(recomputed_), {}};
  std::vector<float>& enhanced = output.enhanced;
  std::vector<float> guide;
  model_.with_session([&](Session& session) {
    const auto spectrum = session.run(past_, &levelled.samples[first - Session::LEAD], enhanced.data());
    guide = guide_gain(spectrum.noisy, spectrum.enhanced, spectrum.frames, static_cast<long>(recomputed_));
  });
  levelled.restore(first, enhanced);
  const auto newest = [&](const std::vector<float>& x) { return std::vector<float>(x.begin() + first, x.end()); };
  follow_guide(newest(levelled.centred), guide, enhanced);
  const auto append = [](std::vector<double>& powers, const std::vector<double>& more) {
    powers.insert(powers.end(), more.begin(), more.end());
  };
  append(noisy_powers_, least_powers(newest(window), newest(levelled.centred)));
  append(enhanced_powers_, hop_powers(enhanced));
  const std::vector<float> limit = limiting_gain(noisy_powers_, enhanced_powers_, recomputed_);
  for (size_t i = 0; i < recomputed_; i++) enhanced[i] *= limit[i];
  for (auto* powers : {&noisy_powers_, &enhanced_powers_}) {
    powers->resize(powers->size() - (recomputed_ - hop_) / HOP_LENGTH);
    if (powers->size() > LIMIT_REACH) powers->erase(powers->begin(), powers->end() - LIMIT_REACH);
  }
  if (with_high_band_) output.high_band = std::move(guide);
  return output;
}

void SlidingWindow::join(const std::vector<float>& newest, size_t ready, size_t held, std::vector<float>& fading,
                         std::vector<float>& out) const {
  const auto end = newest.end();  // belongs to the newest sample
  std::vector<float> joined(end - static_cast<long>(fed_ - written_), end - static_cast<long>(fed_ - ready));
  for (size_t i = 0; i < std::min(fading.size(), joined.size()); i++)
    joined[i] = fading[i] + fade_in(i, fade_) * (joined[i] - fading[i]);
  fading.clear();
  const auto whole = joined.end() - static_cast<long>(held);
  out.insert(out.end(), joined.begin(), whole);
  fading.assign(whole, joined.end());
}

}  // namespace imse
