// The level at which the network is given a segment: `Levelling` of `imse.signal.level`, which says why and how.
#pragma once

#include <vector>

namespace imse {

// Samples of the shortest segment whose level is followed over a few frames.
constexpr long SHORTEST_LEVELLED = 1600;

// The gain above 0 that levels a segment without direct current, and brings it to an RMS of one, at every sample; 1
// where the segment is silent.
std::vector<float> levelling_gain(const std::vector<float>& segment);

}  // namespace imse
