// Cutting a recording into segments and joining what the network made of them: `OverlappingSegments` of
// `imse.signal.segments`, which says why and how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace imse {

constexpr size_t SEGMENT = 30700, LONGEST_SEGMENT = 2 * SEGMENT, SEGMENT_OVERLAP = 3200;

struct Segment {
  size_t start, length, begin;  // its output is used from `begin` on
};

size_t count_segments(size_t samples);

// Of a recording with at least one sample.
Segment segment_at(size_t samples, size_t i);

// A signal with at least one sample, continued by its mirror image to `length`: on its end, or on its beginning.
std::vector<float> mirrored_end(const float* signal, size_t samples, size_t length);
std::vector<float> mirrored_beginning(const float* signal, size_t samples, size_t length);

// The share of the signal that fades in, at sample i of a cross-fade.
float fade_in(size_t i, size_t fade);

}  // namespace imse
