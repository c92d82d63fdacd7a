// The plug-ins as those of LADSPA.
#include <ladspa.h>

#include "plugin.h"

namespace {

using namespace imse_plugin;

constexpr LADSPA_PortDescriptor AUDIO_IN = LADSPA_PORT_AUDIO | LADSPA_PORT_INPUT,
                                AUDIO_OUT = LADSPA_PORT_AUDIO | LADSPA_PORT_OUTPUT,
                                CONTROL_IN = LADSPA_PORT_CONTROL | LADSPA_PORT_INPUT,
                                CONTROL_OUT = LADSPA_PORT_CONTROL | LADSPA_PORT_OUTPUT;
const LADSPA_PortDescriptor KINDS[PORTS] = {AUDIO_IN, AUDIO_OUT, CONTROL_IN, CONTROL_OUT};
// Hosts know the last one by its name.
const char* const NAMES[PORTS] = {"Input", "Output", "Attenuation limit (dB)", "latency"};
constexpr LADSPA_PortRangeHintDescriptor LIMIT =
    LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE | LADSPA_HINT_DEFAULT_MAXIMUM;
const LADSPA_PortRangeHint HINTS[PORTS] = {
    {0, 0, 0}, {0, 0, 0}, {LIMIT, LOWEST_LIMIT_DB, HIGHEST_LIMIT_DB}, {LADSPA_HINT_INTEGER, 0, 0}};

Plugin& of(LADSPA_Handle handle) { return *static_cast<Plugin*>(handle); }

template <Weights WHICH>
LADSPA_Handle instantiate(const LADSPA_Descriptor* /*descriptor*/, unsigned long sample_rate) {
  return Plugin::create(WHICH, static_cast<double>(sample_rate));
}

template <Weights WHICH>
LADSPA_Descriptor describe(unsigned long id, const char* label, const char* name) {
  LADSPA_Descriptor descriptor = {};
  descriptor.UniqueID = id;
  descriptor.Label = label;
  descriptor.Name = name;
  descriptor.Maker = "imse";
  descriptor.Copyright = "MIT";
  descriptor.PortCount = PORTS;
  descriptor.PortDescriptors = KINDS;
  descriptor.PortNames = NAMES;
  descriptor.PortRangeHints = HINTS;
  descriptor.instantiate = instantiate<WHICH>;
  descriptor.connect_port = [](LADSPA_Handle handle, unsigned long port, float* data) {
    of(handle).connect(port, data);
  };
  descriptor.activate = [](LADSPA_Handle handle) { of(handle).activate(); };
  descriptor.run = [](LADSPA_Handle handle, unsigned long samples) { of(handle).run(samples); };
  descriptor.deactivate = [](LADSPA_Handle handle) { of(handle).deactivate(); };
  descriptor.cleanup = [](LADSPA_Handle handle) { delete &of(handle); };
  return descriptor;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const LADSPA_Descriptor* ladspa_descriptor(unsigned long index) {
  static const LADSPA_Descriptor descriptors[] = {
      describe<DEFAULT>(11145150, "imse", "imse speech enhancement"),
      describe<SMALL>(11145151, "imse_small", "imse speech enhancement (small network)"),
  };
  return index < sizeof descriptors / sizeof *descriptors ? &descriptors[index] : nullptr;
}
