// The plug-ins as those of LV2, described by the files in imse.lv2/.
#include <lv2/core/lv2.h>

#include "plugin.h"

namespace {

using namespace imse_plugin;

Plugin& of(LV2_Handle handle) { return *static_cast<Plugin*>(handle); }

template <Weights WHICH>
LV2_Handle instantiate(const LV2_Descriptor* /*descriptor*/, double sample_rate, const char* /*bundle*/,
                       const LV2_Feature* const* /*features*/) {
  return Plugin::create(WHICH, sample_rate);
}

template <Weights WHICH>
LV2_Descriptor describe(const char* uri) {
  LV2_Descriptor descriptor = {};
  descriptor.URI = uri;
  descriptor.instantiate = instantiate<WHICH>;
  descriptor.connect_port = [](LV2_Handle handle, uint32_t port, void* data) {
    of(handle).connect(port, static_cast<float*>(data));
  };
  descriptor.activate = [](LV2_Handle handle) { of(handle).activate(); };
  descriptor.run = [](LV2_Handle handle, uint32_t samples) { of(handle).run(samples); };
  descriptor.deactivate = [](LV2_Handle handle) { of(handle).deactivate(); };
  descriptor.cleanup = [](LV2_Handle handle) { delete &of(handle); };
  return descriptor;
}

}  // namespace

LV2_SYMBOL_EXPORT const LV2_Descriptor* lv2_descriptor(uint32_t index) {
  static const LV2_Descriptor descriptors[] = {describe<DEFAULT>("urn:imse:default"),
                                               describe<SMALL>("urn:imse:small")};
  return index < sizeof descriptors / sizeof *descriptors ? &descriptors[index] : nullptr;
}
