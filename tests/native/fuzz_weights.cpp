// Bytes of a fuzzer as a weights file, see libfuzzer.py: refused with a reason, or a network that runs.
//
// Without its first byte, an input is a whole file where that byte is odd, and else the header of one, which the data
// of the file in $IMSE_FUZZ_WEIGHTS follow.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "imse.h"

namespace {

constexpr size_t LENGTH_BYTES = 8;

std::vector<char> file_of(const std::uint8_t* input, size_t size) {
  if (!size || input[0] % 2) return {input + (size ? 1 : 0), input + size};
  static const std::vector<char> weights = read_weights();
  std::uint64_t header = 0;
  std::memcpy(&header, weights.data(), LENGTH_BYTES);
  const std::uint64_t length = size - 1;
  std::vector<char> file(LENGTH_BYTES);
  std::memcpy(file.data(), &length, LENGTH_BYTES);
  file.insert(file.end(), input + 1, input + size);
  file.insert(file.end(), weights.begin() + static_cast<long>(LENGTH_BYTES + header), weights.end());
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, size_t size) {
  std::vector<char> file = file_of(input, size);
  if (file.empty()) return 0;  // its pointer may be null
  file.shrink_to_fit();        // so that reading beyond it is noticed
  imse_error error{};
  imse_network* network = imse_open(file.data(), file.size(), 1, &error);
  if (!network) {
    expect(error.status == IMSE_INVALID_WEIGHTS || error.status == IMSE_UNSUPPORTED_WEIGHTS, error.text);
    expect(error.text[0], "refused without a reason");
    return 0;
  }
  std::vector<float> noisy(IMSE_SHORTEST_SEGMENT), enhanced(noisy);
  for (size_t i = 0; i < noisy.size(); i++) noisy[i] = static_cast<float>(i * i % 101) / 101 - 0.5f;
  if (imse_enhance_segment(network, noisy.data(), noisy.size(), enhanced.data(), nullptr, &error))
    expect(error.status == IMSE_INVALID_WEIGHTS, error.text);
  else
    expect_finite(enhanced);
  imse_close(network);
  return 0;
}
