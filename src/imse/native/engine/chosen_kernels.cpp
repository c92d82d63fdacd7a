// Which kernels a process uses.
#include <cstdlib>
#include <string>

#include "../common/error.h"
#include "kernels.h"

namespace imse {
namespace {

const Kernels& choose_kernels() {
  const char* variable = std::getenv("IMSE_KERNELS");
  const std::string wanted = variable ? variable : "";
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool fma = __builtin_cpu_supports("fma");
  const bool avx512 = fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool avx2 = fma && __builtin_cpu_supports("avx2");
  if (avx512 && (wanted.empty() || wanted == "avx512")) return kernels_avx512();
  if (avx2 && (wanted.empty() || wanted == "avx2")) return kernels_avx2();
#endif
  if (wanted.empty() || wanted == "baseline") return kernels_baseline();
  const bool known = wanted == "avx512" || wanted == "avx2";
  throw Error(IMSE_UNAVAILABLE,
              "IMSE_KERNELS: " + (known ? "this processor has no " + wanted : "no kernels '" + wanted + "'") +
                  "; unset it, or set it to avx512, avx2 or baseline");
}

}  // namespace

const Kernels& chosen_kernels() {
  static const Kernels& chosen = choose_kernels();
  return chosen;
}

}  // namespace imse
