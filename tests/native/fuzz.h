// What the harnesses for libFuzzer share.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

// libFuzzer keeps the input that ends the process.
inline void expect(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "not as expected: %s\n", what);
  std::abort();
}

inline void expect_finite(const std::vector<float>& samples) {
  for (const float sample : samples) expect(std::isfinite(sample), "a result that is not finite");
}

// The content of the file in $IMSE_FUZZ_WEIGHTS.
inline std::vector<char> read_weights() {
  const char* path = std::getenv("IMSE_FUZZ_WEIGHTS");
  expect(path, "no $IMSE_FUZZ_WEIGHTS");
  std::ifstream file(path, std::ios::binary);
  std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
  expect(!content.empty(), "no weights in $IMSE_FUZZ_WEIGHTS");
  return content;
}
