// A recording of any rate, cut into parts that are enhanced one by one, in any order or by different processes.
#pragma once

#include <cstddef>

#include "imse.h"
#include "model.h"

namespace imse {

// The functions of imse.h on parts. `part_at` and `enhance_part` throw Error for what is out of range.
size_t count_parts(int sample_rate, size_t samples);
imse_part part_at(int sample_rate, size_t samples, size_t i);
void enhance_part(Model& model, int sample_rate, size_t samples, size_t i, const float* noisy,
                  float attenuation_limit_db, float* enhanced);

}  // namespace imse
