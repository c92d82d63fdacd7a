// Sizes and samples of a fuzzer, given to every function of imse.h that takes a signal, see libfuzzer.py: done or
// refused, with nothing read or written outside of the arrays, and only finite results.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "fuzz.h"
#include "imse.h"

namespace {

using Floats = std::vector<float>;

constexpr size_t ANY = std::numeric_limits<size_t>::max(), MOST_FRAMES = 1 << 24;
constexpr size_t LONGEST = 2400;  // samples that are computed

imse_network* network() {
  static imse_network* const opened = [] {
    const std::vector<char> weights = read_weights();
    imse_error error{};
    imse_network* made = imse_open(weights.data(), weights.size(), 1, &error);
    expect(made, error.text);
    return made;
  }();
  return opened;
}

// Any bits as samples, or noise at some level, which is what the network mostly gets.
Floats samples_of(FuzzedDataProvider& input, size_t count) {
  Floats samples(count);
  const bool any = input.ConsumeBool();
  const auto level = std::ldexp(1.0f, input.ConsumeIntegralInRange(-160, 60));
  std::uint32_t seed = input.ConsumeIntegral<std::uint32_t>();
  for (float& sample : samples) {
    seed = seed * 1664525 + 1013904223;
    sample = level * (static_cast<float>(seed >> 8) / (1 << 23) - 1);
  }
  if (any)
    for (int i = 0; i < 8 && count; i++)
      samples[input.ConsumeIntegralInRange<size_t>(0, count - 1)] = input.ConsumeFloatingPoint<float>();
  return samples;
}

// Whether a call was done. Only what it was given is a reason to refuse it.
bool done(int status, const imse_error& error) {
  expect(status == IMSE_OK || status == IMSE_INVALID_ARGUMENT || status == IMSE_INVALID_SIGNAL, error.text);
  return status == IMSE_OK;
}

// How many samples a call is told that there are: most often as many as there are, sometimes more than it may take.
size_t told(FuzzedDataProvider& input, size_t count, size_t most) {
  return input.ConsumeIntegral<std::uint8_t>() ? count : input.ConsumeIntegralInRange<size_t>(most + 1, ANY);
}

void recording(FuzzedDataProvider& input) {
  const Floats noisy = samples_of(input, input.ConsumeIntegralInRange<size_t>(0, LONGEST));
  const auto limit = input.ConsumeBool() ? INFINITY : input.ConsumeFloatingPoint<float>();
  Floats enhanced(noisy.size());
  imse_error error{};
  if (done(imse_enhance(network(), noisy.data(), noisy.size(), limit, enhanced.data(), &error), error))
    expect_finite(enhanced);
}

void segment(FuzzedDataProvider& input) {
  const Floats noisy = samples_of(input, input.ConsumeIntegralInRange<size_t>(0, LONGEST));
  const size_t count = told(input, noisy.size(), IMSE_LONGEST_SEGMENT);
  Floats enhanced(noisy.size()), gain(noisy.size());
  imse_error error{};
  float* const high_band = input.ConsumeBool() ? gain.data() : nullptr;
  if (!done(imse_enhance_segment(network(), noisy.data(), count, enhanced.data(), high_band, &error), error)) return;
  expect(count >= IMSE_SHORTEST_SEGMENT && count <= IMSE_LONGEST_SEGMENT, "a segment of a wrong size was not refused");
  expect_finite(enhanced);
  for (const float value : gain) expect(value >= 0 && value <= 1, "a gain that is not between 0 and 1");
}

void waveform(FuzzedDataProvider& input) {
  const Floats noisy = samples_of(input, input.ConsumeIntegralInRange<size_t>(0, LONGEST));
  const size_t count = told(input, noisy.size(), MOST_FRAMES * IMSE_HOP), frames = 1 + noisy.size() / IMSE_HOP;
  Floats enhanced(noisy.size()), before(frames * IMSE_BINS), after(before);
  imse_error error{};
  const bool magnitudes = input.ConsumeBool();
  done(imse_run_waveform(network(), noisy.data(), count, enhanced.data(), magnitudes ? before.data() : nullptr,
                         magnitudes ? after.data() : nullptr, &error),
       error);
}

void spectrum(FuzzedDataProvider& input) {
  const size_t frames = input.ConsumeIntegralInRange<size_t>(0, LONGEST / IMSE_HOP);
  const Floats magnitude = samples_of(input, frames * IMSE_BINS), phase = samples_of(input, frames * IMSE_BINS);
  Floats enhanced(magnitude.size()), real(enhanced), imag(enhanced);
  imse_error error{};
  done(imse_run_spectrum(network(), magnitude.data(), phase.data(), told(input, frames, MOST_FRAMES), enhanced.data(),
                         real.data(), imag.data(), &error),
       error);
}

// Segments begin and end within a recording that is as long as one of them, and each is used from some point on.
void segments(FuzzedDataProvider& input) {
  const auto samples = input.ConsumeIntegral<size_t>() >> 16;  // no address space holds more
  const size_t count = imse_segments(samples), i = input.ConsumeIntegral<size_t>();
  size_t start = 0, length = 0, begin = 0;
  const bool there = imse_segment(samples, i, &start, &length, &begin) == IMSE_OK;
  expect(there == (i < count), "a segment that is not there");
  expect((count == 0) == (samples == 0), "a recording without segments");
  if (!there) return;
  expect(length >= IMSE_SHORTEST_SEGMENT && length <= IMSE_LONGEST_SEGMENT, "a segment of a wrong size");
  expect(count == 1 || (length <= samples && start <= samples - length), "a segment outside of its recording");
  expect(begin >= start && begin - start < length, "a segment that is not used");
}

int rate_of(FuzzedDataProvider& input) {
  return input.ConsumeBool() ? input.PickValueInArray({8000, 11025, 16000, 22050, 44100, 48000, 192000})
                             : input.ConsumeIntegral<int>();
}

// Parts of short recordings are enhanced; of those of any length it is known where they are.
void part(FuzzedDataProvider& input) {
  const int rate = rate_of(input);
  const Floats noisy = samples_of(input, input.ConsumeIntegralInRange<size_t>(0, LONGEST));
  const size_t samples = input.ConsumeBool() ? noisy.size() : input.ConsumeIntegral<size_t>();
  const size_t count = imse_parts(rate, samples), i = input.ConsumeIntegralInRange<size_t>(0, count);
  imse_part part{};
  imse_error error{};
  const bool there = done(imse_find_part(rate, samples, i, &part, &error), error);
  expect(there == (i < count), "a part that is not there");
  if (!there) return;
  expect(
      part.start <= part.begin && part.begin + part.fade <= part.end && part.end <= part.stop && part.stop <= samples,
      "a part that gives what it does not know");
  if (part.stop > noisy.size()) return;
  Floats enhanced(part.end - part.begin);
  const auto limit = input.ConsumeBool() ? INFINITY : input.ConsumeFloatingPoint<float>();
  if (done(imse_enhance_part(network(), rate, samples, i, noisy.data() + part.start, limit, enhanced.data(), &error),
           error))
    expect_finite(enhanced);
}

imse_stream_settings settings_of(FuzzedDataProvider& input) {
  imse_stream_settings settings{};
  imse_error error{};
  const int rate = rate_of(input);
  if (input.ConsumeBool()) {
    done(imse_stream_settings_for(input.ConsumeFloatingPoint<double>(), rate, &settings, &error), error);
    if (input.ConsumeBool()) return settings;
  }
  if (input.ConsumeBool()) {
    const auto within = [&](int most) { return input.ConsumeIntegralInRange(0, most); };
    const int recomputed = 400 * within(6);
    return {rate, recomputed + 400 * within(6), recomputed, 400 * within(4), within(1600), within(800), INFINITY};
  }
  const auto any = [&] { return input.ConsumeIntegral<std::int32_t>(); };
  const int window = any(), recomputed = any(), hop = any(), look_ahead = any(), fade = any();
  return {rate, window, recomputed, hop, look_ahead, fade, input.ConsumeFloatingPoint<float>()};
}

void stream(FuzzedDataProvider& input) {
  const imse_stream_settings settings = settings_of(input);
  imse_error error{};
  imse_stream* stream = imse_stream_open(network(), &settings, &error);
  if (!done(stream ? IMSE_OK : error.status, error)) return;
  const size_t latency = imse_stream_latency(stream);
  size_t fed = 0, written = 0, in_all = 0;
  // A step takes as long as what it recomputes, and there is one in every hop.
  const bool quick = settings.recomputed <= 8000 && settings.hop >= 400;
  for (int block = 0; block < 5 && quick && input.remaining_bytes(); block++) {
    const Floats noisy = samples_of(input, input.ConsumeIntegralInRange<size_t>(0, 1500));
    Floats enhanced(noisy.size() + latency);
    if (done(imse_stream_feed(stream, noisy.data(), noisy.size(), enhanced.data(), &written, &error), error)) {
      fed += noisy.size(), in_all += written;
      expect(written <= enhanced.size() && in_all <= fed && in_all + latency >= fed, "not as late as a stream says");
      enhanced.resize(written);
      expect_finite(enhanced);
    }
    if (input.ConsumeIntegral<std::uint8_t>() == 0) imse_stream_reset(stream), fed = in_all = 0;
  }
  Floats enhanced(latency);
  if (done(imse_stream_flush(stream, enhanced.data(), &written, &error), error)) {
    expect(in_all + written == fed, "a stream changes the length");
    enhanced.resize(written);
    expect_finite(enhanced);
  }
  imse_stream_close(stream);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, size_t size) {
  FuzzedDataProvider input(bytes, size);
  constexpr void (*FUNCTIONS[])(FuzzedDataProvider&) = {recording, segment, part, waveform, spectrum, segments, stream};
  FUNCTIONS[input.ConsumeIntegralInRange<size_t>(0, std::size(FUNCTIONS) - 1)](input);
  return 0;
}
