#include "plugin.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace imse_plugin {
namespace {

// At any sample rate, those settings of a stream that take least of the processor.
constexpr double LATENCY_MS = 140;
constexpr unsigned MOST_THREADS = 2;

// The plug-ins of a process on the same weights have their network in common.
SharedNetwork shared_network(Weights weights) {
  static std::mutex mutex;
  static std::weak_ptr<imse_network> networks[WEIGHTS];
  const std::lock_guard<std::mutex> lock(mutex);
  if (SharedNetwork network = networks[weights].lock()) return network;
  const Bytes bytes = bytes_of(weights);
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, MOST_THREADS);
  imse_error error;
  imse_network* const network = imse_open(bytes.begin, bytes.size, static_cast<int>(threads), &error);
  if (!network) throw std::runtime_error(error.text);
  SharedNetwork shared(network, imse_close);
  networks[weights] = shared;
  return shared;
}

imse_stream_settings settings_for(double sample_rate) {
  imse_error error;
  imse_stream_settings settings;
  if (imse_stream_settings_for(LATENCY_MS, static_cast<int>(std::clamp(sample_rate, 0.0, 1e9)), &settings, &error))
    throw std::runtime_error(error.text);
  return settings;
}

template <class Function>
void guarded(const Function& function) noexcept {
  try {
    function();
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "imse: %s\n", error.what()));
  }
}

}  // namespace

Plugin* Plugin::create(Weights weights, double sample_rate) noexcept {
  std::unique_ptr<Plugin> plugin;
  guarded([&] { plugin = std::make_unique<Plugin>(weights, sample_rate); });
  return plugin.release();
}

Plugin::Plugin(Weights weights, double sample_rate) : stream_(shared_network(weights), settings_for(sample_rate)) {}

void Plugin::connect(unsigned long port, float* data) noexcept {
  if (port < PORTS) ports_[port] = data;
}

void Plugin::activate() noexcept {
  guarded([&] { stream_.start(); });
}

void Plugin::run(unsigned long samples) noexcept {
  if (ports_[LATENCY]) *ports_[LATENCY] = static_cast<float>(stream_.latency());
  const float limit_db = ports_[ATTENUATION_LIMIT] ? *ports_[ATTENUATION_LIMIT] : HIGHEST_LIMIT_DB;
  // Hosts may give any value, even NaN.
  const float kept = limit_db < HIGHEST_LIMIT_DB ? std::pow(10.0f, -std::max(limit_db, LOWEST_LIMIT_DB) / 20) : 0;
  if (samples) stream_.run(ports_[NOISY], ports_[ENHANCED], samples, kept);
}

}  // namespace imse_plugin
