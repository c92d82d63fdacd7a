#include "live_stream.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace imse_plugin {
namespace {

constexpr double SMOOTHING_SECONDS = 0.02;
constexpr int GRAINS_PER_SECOND = 200;  // fewer to a hop would take from the time that the network has
constexpr float LOUDEST = 1e15f;        // that the library takes

imse_stream* opened(imse_network* network, const imse_stream_settings& settings) {
  imse_error error;
  imse_stream* stream = imse_stream_open(network, &settings, &error);
  if (!stream) throw std::runtime_error(error.text);
  return stream;
}

std::size_t hop_of(const imse_stream_settings& settings) {
  const std::int64_t product = static_cast<std::int64_t>(settings.hop) * settings.sample_rate;
  return static_cast<std::size_t>((product + IMSE_SAMPLE_RATE - 1) / IMSE_SAMPLE_RATE);
}

}  // namespace

LiveStream::LiveStream(SharedNetwork network, const imse_stream_settings& settings)
    : network_(std::move(network)),
      stream_(opened(network_.get(), settings)),
      hop_(hop_of(settings)),
      grain_(std::min<std::size_t>(hop_, settings.sample_rate / GRAINS_PER_SECOND)),
      latency_(imse_stream_latency(stream_.get()) + hop_),
      smoothing_(static_cast<float>(1 - std::exp(-1 / (SMOOTHING_SECONDS * settings.sample_rate)))),
      noisy_(latency_ + hop_),
      enhanced_(latency_ + hop_),
      fed_(grain_),
      written_(grain_ + latency_) {}

void LiveStream::start() {
  stop();
  imse_stream_reset(stream_.get());
  received_ = handed_ = made_ = 0;
  kept_ = -1;
  ending_ = false;
  thread_ = std::thread([this] { work(); });
}

void LiveStream::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  handed_over_.notify_one();
  thread_.join();
}

void LiveStream::run(const float* noisy, float* output, std::size_t samples, float kept) {
  if (!thread_.joinable()) {
    std::fill_n(output, samples, 0.0f);
    return;
  }
  // The rings have room for one hop more than the delay.
  for (std::size_t at = 0; at < samples; at += hop_)
    run_part(noisy + at, output + at, std::min(hop_, samples - at), kept);
}

void LiveStream::run_part(const float* noisy, float* output, std::size_t samples, float kept) {
  std::uint64_t number = received_;
  for (std::size_t i = 0; i < samples; i++)
    noisy_[received_++] = std::fabs(noisy[i]) <= LOUDEST ? noisy[i] : 0;  // false for NaN, too
  hand_over();
  if (kept_ < 0) kept_ = kept;
  for (std::size_t i = 0; i < samples; i++, number++) {
    kept_ += smoothing_ * (kept - kept_);
    const std::uint64_t at = number - latency_;
    output[i] = number < latency_ ? 0 : kept_ * noisy_[at] + (1 - kept_) * enhanced_[at];
  }
}

// What was received, and wait for what is to come out now.
void LiveStream::hand_over() {
  const std::uint64_t needed = received_ - std::min<std::uint64_t>(received_, latency_);
  std::unique_lock<std::mutex> lock(mutex_);
  if (received_ - handed_ >= grain_) {
    handed_ = received_;
    handed_over_.notify_one();
  }
  made_more_.wait(lock, [&] { return made_ >= needed; });
}

void LiveStream::work() {
  for (std::uint64_t begin = 0, made = 0;;) {
    std::uint64_t end = 0;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      handed_over_.wait(lock, [&] { return ending_ || handed_ > begin; });
      if (ending_) return;
      end = std::min(handed_, begin + grain_);
    }
    made = enhance(begin, end, made);
    begin = end;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      made_ = made;
    }
    made_more_.notify_one();
  }
}

// Of the input from `begin` to `end`, where the output is there up to `made`; returns how far it is there now.
std::uint64_t LiveStream::enhance(std::uint64_t begin, std::uint64_t end, std::uint64_t made) {
  for (std::uint64_t i = begin; i < end; i++) fed_[i - begin] = noisy_[i];
  std::size_t count = 0;
  if (imse_stream_feed(stream_.get(), fed_.data(), end - begin, written_.data(), &count, nullptr) == IMSE_OK) {
    for (std::size_t i = 0; i < count; i++) enhanced_[made + i] = written_[i];
    return made + count;
  }
  // There is too little memory: silence instead of what was fed, and a new beginning.
  imse_stream_reset(stream_.get());
  for (std::uint64_t i = made; i < end; i++) enhanced_[i] = 0;
  return end;
}

}  // namespace imse_plugin
