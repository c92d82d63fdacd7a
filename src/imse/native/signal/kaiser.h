// What linear-phase filters are designed with: a sinc under Kaiser's window.
#pragma once

#include <algorithm>
#include <cmath>

namespace imse {

constexpr double PI = 3.14159265358979323846;

// Modified Bessel function of the first kind, order 0, by its series.
inline double bessel(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > 1e-17 * sum; k++) {
    term *= x / 2 / k * (x / 2 / k);
    sum += term;
  }
  return sum;
}

// The window at a position from -1 to 1.
inline double kaiser(double position, double beta) {
  return bessel(beta * std::sqrt(std::max(0.0, 1 - position * position))) / bessel(beta);
}

inline double sinc(double x) { return x == 0 ? 1 : std::sin(PI * x) / (PI * x); }

}  // namespace imse
