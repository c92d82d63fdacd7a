#include "checks.h"

#include <cmath>
#include <string>

#include "../common/error.h"

namespace imse {
namespace {

constexpr float LOUDEST = 1e15f;
constexpr int LOWEST_RATE = 8000, HIGHEST_RATE = 192000;

}  // namespace

void check_signal(const float* samples, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!std::isfinite(samples[i])) throw Error(IMSE_INVALID_SIGNAL, "NaN or infinite samples");
    if (std::fabs(samples[i]) > LOUDEST) throw Error(IMSE_INVALID_SIGNAL, "samples beyond 1e15 cannot be processed");
  }
}

void check_rate(int sample_rate) {
  if (sample_rate < LOWEST_RATE || sample_rate > HIGHEST_RATE)
    throw Error(IMSE_INVALID_ARGUMENT, "the sample rate must be " + std::to_string(LOWEST_RATE) + " to " +
                                           std::to_string(HIGHEST_RATE) + " Hz");
}

void check_attenuation_limit(float limit_db) {
  if (!(limit_db >= 0)) throw Error(IMSE_INVALID_ARGUMENT, "the attenuation limit must be at least 0");
}

float share_kept(float limit_db) { return std::pow(10.0f, -limit_db / 20); }

}  // namespace imse
