// Checks of what callers give.
#pragma once

#include <cstddef>

namespace imse {

// Throws Error with IMSE_INVALID_SIGNAL for samples that are not finite, or so loud that a sum of them might not be.
void check_signal(const float* samples, size_t count);

// Throws Error with IMSE_INVALID_ARGUMENT for a rate that is out of range.
void check_rate(int sample_rate);

// Throws Error with IMSE_INVALID_ARGUMENT for a limit below 0.
void check_attenuation_limit(float limit_db);

// The share of the input that the output keeps at an attenuation limit.
float share_kept(float limit_db);

}  // namespace imse
