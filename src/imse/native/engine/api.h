// The engine's functions for other languages: what Python's ctypes calls, see ../__init__.py.
//
// None of them throws. What goes wrong is a text in `message`, cut to `message_size` bytes with the zero at its end.
#pragma once

#include <cstdint>

#define IMSE_API extern "C" __attribute__((visibility("default")))

// What the library was compiled from, see build.py. A caller that was written for other sources calls nothing else.
IMSE_API const char* imse_fingerprint() noexcept;

// The instruction set in use, "avx512", "avx2" or "baseline"; null where it cannot be as asked for.
IMSE_API const char* imse_instruction_set(char* message, int message_size) noexcept;

// A network, or null where the weights do not fit. `shapes` holds ranks[i] lengths of tensor i, one tensor's after
// another's. Nothing of the arguments is needed afterwards.
IMSE_API void* imse_open(int channels, int blocks, int bins, int threads, int count, const char* const* names,
                         const float* const* values, const int* ranks, const std::int64_t* shapes, char* message,
                         int message_size) noexcept;

// Enhance a segment, all arrays [frames, bins]: 0, or 1 where that failed. May be called on several threads at once.
IMSE_API int imse_run(void* network, const float* magnitude, const float* phase, int frames, float* enhanced,
                      float* real, float* imag, char* message, int message_size) noexcept;

// A network, which no call uses any more, or null.
IMSE_API void imse_close(void* network) noexcept;
