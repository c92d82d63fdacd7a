// Gains over time, from a signal before and after enhancement: those of `imse.signal.gain`, which says why and how.
#pragma once

#include <cstddef>
#include <vector>

namespace imse {

// The mean power in each hop of a signal; the last hop is filled up with zeros.
std::vector<double> hop_powers(const std::vector<float>& signal);

// Hops before and behind a sample on which its limiting gain depends, at most.
constexpr int LIMIT_REACH = 66;

// The gain, 0 to 1, that keeps the power of the enhanced signal in any window of 0.4 s near that of the noisy one: at
// each of the last `samples` of a signal whose powers in hops are given.
std::vector<float> limiting_gain(const std::vector<double>& noisy, const std::vector<double>& enhanced, size_t samples);

// The gain, 0 to 1, of the network just below 8 kHz at every sample, from the compressed magnitudes
// [frames, SPECTRUM_BINS] before and after it.
std::vector<float> guide_gain(const float* noisy, const float* enhanced, int frames, long samples);

// Replace the strip from 7.6 to 8 kHz of the enhanced signal by the noisy one with this gain.
void follow_guide(const std::vector<float>& noisy, const std::vector<float>& gain, std::vector<float>& enhanced);

}  // namespace imse
