// A signal as the network is given it, and the way back.
#pragma once

#include <cstddef>
#include <vector>

namespace imse {

struct Levelled {
  Levelled(const float* noisy, size_t count);

  // Bring what the network made of the samples from `first` on back to their level. Throws Error where it is no number.
  void restore(size_t first, std::vector<float>& enhanced) const;

  std::vector<float> centred;  // without direct current
  std::vector<float> gain;
  std::vector<float> samples;  // centred * gain
};

// The power of a signal in each hop, with or without its direct current, whichever is less: the current must neither
// hide that the rest becomes louder, nor be spread to where there is none.
std::vector<double> least_powers(const std::vector<float>& signal, const std::vector<float>& centred);

}  // namespace imse
