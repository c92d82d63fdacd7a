#include "segments.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "imse.h"
#include "kaiser.h"

namespace imse {
namespace {

size_t divided_up(size_t a, size_t b) { return (a + b - 1) / b; }

}  // namespace

size_t count_segments(size_t samples) {
  if (samples == 0) return 0;
  if (samples <= SEGMENT_OVERLAP) return 1;
  return divided_up(samples - SEGMENT_OVERLAP, LONGEST_SEGMENT - SEGMENT_OVERLAP);
}

Segment segment_at(size_t samples, size_t i) {
  const size_t count = std::max<size_t>(1, count_segments(samples));
  const size_t length = std::max(SEGMENT, divided_up(samples + (count - 1) * SEGMENT_OVERLAP, count));
  if (i == 0) return {0, length, 0};
  // Starts are n * (samples - length) / gaps, of which the product may need more bits than there are.
  const std::uint64_t gaps = std::max<size_t>(count, 2) - 1;
  const std::uint64_t whole = (samples - length) / gaps, rest = (samples - length) % gaps;
  const auto start = [&](std::uint64_t n) { return static_cast<size_t>(n * whole + n * rest / gaps); };
  return {start(i), length, (start(i) + start(i - 1) + length) / 2 - IMSE_FADE / 2};
}

std::vector<float> mirrored_end(const float* signal, size_t samples, size_t length) {
  std::vector<float> longer(length);
  for (size_t i = 0; i < length; i++) {
    const size_t inside = i % (2 * samples);
    longer[i] = signal[std::min(inside, 2 * samples - 1 - inside)];
  }
  return longer;
}

std::vector<float> mirrored_beginning(const float* signal, size_t samples, size_t length) {
  const std::vector<float> backwards(std::make_reverse_iterator(signal + samples), std::make_reverse_iterator(signal));
  std::vector<float> longer = mirrored_end(backwards.data(), samples, length);
  std::reverse(longer.begin(), longer.end());
  return longer;
}

float fade_in(size_t i, size_t fade) {
  return static_cast<float>(0.5 - 0.5 * std::cos(PI * (static_cast<double>(i) + 0.5) / static_cast<double>(fade)));
}

}  // namespace imse
