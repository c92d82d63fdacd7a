#include "sliding_window.h"

#include <algorithm>

#include "../signal/segments.h"

namespace imse {

SlidingWindow::SlidingWindow(Model& model, const imse_stream_settings& settings, bool with_high_band)
    : model_(model),
      window_(settings.window),
      hop_(settings.hop),
      look_ahead_(settings.look_ahead),
      fade_(settings.fade),
      with_high_band_(with_high_band) {}

size_t SlidingWindow::ready(size_t fed) const {
  const size_t computed = fed / hop_ * hop_;
  return computed - std::min(computed, look_ahead_ + fade_);
}

Output SlidingWindow::feed(const std::vector<float>& samples) {
  Output out;
  for (auto next = samples.begin(); next != samples.end();) {
    const auto taken = static_cast<long>(std::min<size_t>(samples.end() - next, hop_ - fed_ % hop_));
    recent_.insert(recent_.end(), next, next + taken);
    if (recent_.size() >= 2 * window_) recent_.erase(recent_.begin(), recent_.end() - static_cast<long>(window_));
    fed_ += taken;
    next += taken;
    if (fed_ % hop_ == 0 && fed_ > look_ahead_ + fade_) step(fed_ - look_ahead_, fade_, out);
  }
  return out;
}

Output SlidingWindow::flush() {
  Output out;
  if (fed_ > written_) step(fed_, 0, out);
  reset();
  return out;
}

void SlidingWindow::reset() {
  recent_.clear();
  fading_ = {};
  fed_ = written_ = 0;
}

void SlidingWindow::step(size_t ready, size_t held, Output& out) {
  const size_t known = std::min(recent_.size(), window_), before = out.enhanced.size();
  const std::vector<float> window = mirrored_beginning(recent_.data() + (recent_.size() - known), known, window_);
  std::vector<float> enhanced(window_), gain(with_high_band_ ? window_ : 0);
  model_.enhance_segment(window.data(), window_, enhanced.data(), with_high_band_ ? gain.data() : nullptr);
  join(enhanced, ready, held, fading_.enhanced, out.enhanced);
  if (with_high_band_) join(gain, ready, held, fading_.high_band, out.high_band);
  written_ += out.enhanced.size() - before;
}

void SlidingWindow::join(const std::vector<float>& window, size_t ready, size_t held, std::vector<float>& fading,
                         std::vector<float>& out) const {
  const auto end = window.end();  // belongs to the newest sample that was fed
  std::vector<float> joined(end - static_cast<long>(fed_ - written_), end - static_cast<long>(fed_ - ready));
  for (size_t i = 0; i < std::min(fading.size(), joined.size()); i++)
    joined[i] = fading[i] + fade_in(i, fade_) * (joined[i] - fading[i]);
  fading.clear();
  const auto whole = joined.end() - static_cast<long>(held);
  out.insert(out.end(), joined.begin(), whole);
  fading.assign(whole, joined.end());
}

}  // namespace imse
