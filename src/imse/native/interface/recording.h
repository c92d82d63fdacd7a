// A recording of any length.
#pragma once

#include <cstddef>

#include "model.h"

namespace imse {

// As imse_enhance says.
void enhance_recording(Model& model, const float* noisy, size_t samples, float attenuation_limit_db, float* enhanced);

}  // namespace imse
