// What the plug-ins are, whatever the interface between them and their host.
#pragma once

#include "live_stream.h"
#include "weights.h"

namespace imse_plugin {

enum Port : unsigned { NOISY, ENHANCED, ATTENUATION_LIMIT, LATENCY, PORTS };

// Of the attenuation limit in dB. The highest means that there is none.
constexpr float LOWEST_LIMIT_DB = 0, HIGHEST_LIMIT_DB = 100;

class Plugin {
 public:
  // Throws as LiveStream does.
  Plugin(Weights weights, double sample_rate);

  // A new one, or null where it cannot be made: a line on the standard error says why.
  static Plugin* create(Weights weights, double sample_rate) noexcept;

  void connect(unsigned long port, float* data) noexcept;

  // Begin with silence. Where the system has no thread for it, the output stays silent; a line says so.
  void activate() noexcept;
  void deactivate() noexcept { stream_.stop(); }
  void run(unsigned long samples) noexcept;

 private:
  LiveStream stream_;
  float* ports_[PORTS] = {};
};

}  // namespace imse_plugin
