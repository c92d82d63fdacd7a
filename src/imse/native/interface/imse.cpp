// The functions of imse.h: what they are given is checked, and no exception leaves them.
#include "imse.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "../common/error.h"
#include "../signal/segments.h"
#include "checks.h"
#include "model.h"
#include "part.h"
#include "recording.h"
#include "stream.h"
#include "weights_file.h"

#ifndef FINGERPRINT
#error "FINGERPRINT must be that of the sources, see build.py"
#endif

struct imse_network : imse::Model {
  using Model::Model;
};

struct imse_stream : imse::Stream {
  using Stream::Stream;
};

namespace {

using imse::Error;

constexpr size_t MAX_FRAMES = 1 << 24;

int explain(imse_error* error, imse_status status, const char* text) {
  if (error) {
    error->status = status;
    std::snprintf(error->text, sizeof error->text, "%s", text);
  }
  return status;
}

// Call a function; what it throws becomes a status and a text.
template <class Function>
int guarded(imse_error* error, const Function& function) noexcept {
  try {
    function();
    return IMSE_OK;
  } catch (const Error& problem) {
    return explain(error, problem.status, problem.what());
  } catch (const std::bad_alloc&) {
    return explain(error, IMSE_OUT_OF_MEMORY, "not enough memory");
  } catch (const std::exception& problem) {
    return explain(error, IMSE_INTERNAL, problem.what());
  } catch (...) {
    return explain(error, IMSE_INTERNAL, "unknown error");
  }
}

void expect(bool fine, const std::string& rule) {
  if (!fine) throw Error(IMSE_INVALID_ARGUMENT, rule);
}

template <class... Pointers>
void expect_not_null(const Pointers*... pointers) {
  expect((... && pointers), "a null pointer");
}

void expect_samples(size_t samples, size_t least, size_t most) {
  expect(samples >= least && samples <= most,
         "samples must be " + std::to_string(least) + " to " + std::to_string(most));
}

}  // namespace

int imse_api_version() noexcept { return IMSE_API_VERSION; }

const char* imse_fingerprint() noexcept { return FINGERPRINT; }

const char* imse_instruction_set(imse_error* error) noexcept {
  const char* name = nullptr;
  guarded(error, [&] { name = imse::chosen_kernels().name; });
  return name;
}

double imse_multiply_accumulate(long rounds) noexcept {
  double count = 0;
  guarded(nullptr, [&] { count = imse::chosen_kernels().multiply_accumulate(rounds); });
  return count;
}

imse_network* imse_open(const void* weights, size_t size, int threads, imse_error* error) noexcept {
  imse_network* network = nullptr;
  guarded(error, [&] {
    expect_not_null(weights);
    network = std::make_unique<imse_network>(imse::WeightsFile(weights, size), threads).release();
  });
  return network;
}

void imse_close(imse_network* network) noexcept { delete network; }

void imse_describe(const imse_network* network, imse_description* description) noexcept {
  *description = network->describe();
}

const char* imse_metadata(const imse_network* network, const char* key) noexcept {
  const char* text = nullptr;
  guarded(nullptr, [&] { text = network->metadata(key); });
  return text;
}

int imse_enhance(imse_network* network, const float* noisy, size_t samples, float attenuation_limit_db, float* enhanced,
                 imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(network);
    if (samples) expect_not_null(noisy, enhanced);
    imse::enhance_recording(*network, noisy, samples, attenuation_limit_db, enhanced);
  });
}

size_t imse_segments(size_t samples) noexcept { return imse::count_segments(samples); }

int imse_segment(size_t samples, size_t i, size_t* start, size_t* length, size_t* begin) noexcept {
  return guarded(nullptr, [&] {
    expect_not_null(start, length, begin);
    expect(i < imse::count_segments(samples), "no such segment");
    const imse::Segment segment = imse::segment_at(samples, i);
    *start = segment.start, *length = segment.length, *begin = segment.begin;
  });
}

int imse_enhance_segment(imse_network* network, const float* noisy, size_t samples, float* enhanced, float* high_band,
                         imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(network, noisy, enhanced);
    expect_samples(samples, IMSE_SHORTEST_SEGMENT, IMSE_LONGEST_SEGMENT);
    imse::check_signal(noisy, samples);
    network->enhance_segment(noisy, samples, enhanced, high_band);
  });
}

size_t imse_parts(int sample_rate, size_t samples) noexcept {
  size_t count = 0;
  guarded(nullptr, [&] { count = imse::count_parts(sample_rate, samples); });
  return count;
}

int imse_find_part(int sample_rate, size_t samples, size_t i, imse_part* part, imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(part);
    *part = imse::part_at(sample_rate, samples, i);
  });
}

int imse_enhance_part(imse_network* network, int sample_rate, size_t samples, size_t i, const float* noisy,
                      float attenuation_limit_db, float* enhanced, imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(network, noisy, enhanced);
    imse::enhance_part(*network, sample_rate, samples, i, noisy, attenuation_limit_db, enhanced);
  });
}

int imse_stream_settings_for(double latency_ms, int sample_rate, imse_stream_settings* settings,
                             imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(settings);
    *settings = imse::settings_for(latency_ms, sample_rate);
  });
}

imse_stream* imse_stream_open(imse_network* network, const imse_stream_settings* settings, imse_error* error) noexcept {
  imse_stream* stream = nullptr;
  guarded(error, [&] {
    expect_not_null(network, settings);
    stream = std::make_unique<imse_stream>(*network, *settings).release();
  });
  return stream;
}

void imse_stream_close(imse_stream* stream) noexcept { delete stream; }

size_t imse_stream_latency(const imse_stream* stream) noexcept { return stream->latency(); }

int imse_stream_feed(imse_stream* stream, const float* noisy, size_t samples, float* enhanced, size_t* written,
                     imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(stream, enhanced, written);
    *written = 0;
    if (samples) expect_not_null(noisy);
    *written = stream->feed(noisy, samples, enhanced);
  });
}

int imse_stream_flush(imse_stream* stream, float* enhanced, size_t* written, imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(stream, enhanced, written);
    *written = 0;
    *written = stream->flush(enhanced);
  });
}

void imse_stream_reset(imse_stream* stream) noexcept {
  if (stream) stream->reset();
}

int imse_run_waveform(imse_network* network, const float* waveform, size_t samples, float* enhanced,
                      float* noisy_magnitude, float* enhanced_magnitude, imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(network, waveform, enhanced);
    expect_samples(samples, 1, (MAX_FRAMES - 1) * IMSE_HOP);
    network->with_session([&](imse::Session& session) {
      const auto spectrum = session.run(waveform, static_cast<long>(samples), enhanced);
      const size_t size = static_cast<size_t>(spectrum.frames) * IMSE_BINS;
      if (noisy_magnitude) std::copy_n(spectrum.noisy, size, noisy_magnitude);
      if (enhanced_magnitude) std::copy_n(spectrum.enhanced, size, enhanced_magnitude);
    });
  });
}

int imse_run_spectrum(imse_network* network, const float* magnitude, const float* phase, size_t frames, float* enhanced,
                      float* real, float* imag, imse_error* error) noexcept {
  return guarded(error, [&] {
    expect_not_null(network, magnitude, phase, enhanced, real, imag);
    expect(frames >= 1 && frames <= MAX_FRAMES, "frames must be 1 to " + std::to_string(MAX_FRAMES));
    network->with_session(
        [&](imse::Session& session) { session.run(magnitude, phase, static_cast<int>(frames), enhanced, real, imag); });
  });
}
