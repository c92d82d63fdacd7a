#include "recording.h"

#include <algorithm>
#include <vector>

#include "../signal/segments.h"
#include "checks.h"

namespace imse {

void enhance_recording(Model& model, const float* noisy, size_t samples, float attenuation_limit_db, float* enhanced) {
  check_signal(noisy, samples);
  check_attenuation_limit(attenuation_limit_db);
  std::vector<float> output;
  for (size_t i = 0; i < count_segments(samples); i++) {
    const Segment segment = segment_at(samples, i);
    output.resize(segment.length);
    if (segment.length > samples)
      model.enhance_segment(mirrored_end(noisy, samples, segment.length).data(), segment.length, output.data());
    else
      model.enhance_segment(noisy + segment.start, segment.length, output.data());
    const size_t end = std::min(segment.start + segment.length, samples), faded = i ? IMSE_FADE : 0;
    const float* from = output.data() - segment.start;
    for (size_t n = segment.begin; n < segment.begin + faded; n++)
      enhanced[n] += fade_in(n - segment.begin, IMSE_FADE) * (from[n] - enhanced[n]);
    std::copy(from + segment.begin + faded, from + end, enhanced + segment.begin + faded);
  }
  const float kept = share_kept(attenuation_limit_db);
  for (size_t n = 0; n < samples; n++) enhanced[n] = kept * noisy[n] + (1 - kept) * enhanced[n];
}

}  // namespace imse
