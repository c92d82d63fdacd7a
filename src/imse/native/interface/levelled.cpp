#include "levelled.h"

#include <algorithm>
#include <cmath>

#include "../common/error.h"
#include "../signal/gain.h"
#include "../signal/level.h"
#include "imse.h"

namespace imse {

Levelled::Levelled(const float* noisy, size_t count) : centred(noisy, noisy + count), samples(count) {
  double sum = 0;
  for (const float x : centred) sum += x;
  const auto mean = static_cast<float>(sum / static_cast<double>(count));
  for (float& x : centred) x -= mean;
  gain = levelling_gain(centred);
  for (size_t i = 0; i < count; i++) samples[i] = centred[i] * gain[i];
}

void Levelled::restore(size_t first, std::vector<float>& enhanced) const {
  for (size_t i = 0; i < enhanced.size(); i++) {
    if (!std::isfinite(enhanced[i]))
      throw Error(IMSE_INVALID_WEIGHTS, "damaged weights: the output of the network is not finite");
    enhanced[i] /= gain[first + i];
  }
}

std::vector<double> least_powers(const std::vector<float>& signal, const std::vector<float>& centred) {
  std::vector<double> powers = hop_powers(centred);
  const std::vector<double> with_current = hop_powers(signal);
  for (size_t i = 0; i < powers.size(); i++) powers[i] = std::min(powers[i], with_current[i]);
  return powers;
}

}  // namespace imse
