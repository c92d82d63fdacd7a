#include "part.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "../common/error.h"
#include "../signal/resampler.h"
#include "../signal/segments.h"
#include "checks.h"

namespace imse {
namespace {

// Far more than a file holds; products with a rate stay within 64 bits.
constexpr std::uint64_t MOST_SAMPLES = 1ULL << 40;

// The clocks of a recording and of the network, both counted from the beginning of the recording. They meet every
// `steps` samples at 16 kHz, where a resampler can begin.
class Clocks {
 public:
  explicit Clocks(int rate) : rate_(rate), steps_(Resampler::period(rate, IMSE_SAMPLE_RATE)) {}

  // The sample that is at the time of a sample of the other clock, or the last one before it.
  size_t at_rate(std::uint64_t narrow) const { return static_cast<size_t>(narrow * rate_ / IMSE_SAMPLE_RATE); }
  size_t at_16k(std::uint64_t sample) const { return static_cast<size_t>(sample * IMSE_SAMPLE_RATE / rate_); }

  // The last sample at 16 kHz, up to the given one, at whose time the recording has a sample, too.
  size_t meeting(size_t narrow) const { return narrow / steps_ * steps_; }

 private:
  const std::uint64_t rate_;
  const size_t steps_;
};

// A part and its segment at 16 kHz.
struct Plan {
  imse_part part;
  Segment segment;
  size_t narrow_begin, narrow_end;  // what it needs is resampled to these samples at 16 kHz
};

size_t narrow_samples(int rate, size_t samples) {
  const std::uint64_t rounded = (2 * static_cast<std::uint64_t>(samples) * IMSE_SAMPLE_RATE + rate) / (2 * rate);
  return std::max<size_t>(samples > 0, static_cast<size_t>(rounded));
}

Plan plan_part(int rate, size_t samples, size_t i) {
  if (i >= count_parts(rate, samples)) throw Error(IMSE_INVALID_ARGUMENT, "no such part");
  const Clocks clocks(rate);
  const size_t narrow = narrow_samples(rate, samples), count = count_segments(narrow);
  const auto begin = [&](size_t n) { return n ? clocks.at_rate(segment_at(narrow, n).begin) : 0; };
  const auto reach = static_cast<size_t>(Resampler::reach(rate, IMSE_SAMPLE_RATE, RECORDING_FILTER));
  Plan plan;
  plan.segment = segment_at(narrow, i);
  plan.part.fade = clocks.at_rate(IMSE_FADE);
  plan.part.begin = begin(i);
  plan.part.end = i + 1 < count ? begin(i + 1) + plan.part.fade : samples;
  if (i == 0) plan.part.fade = 0;
  plan.narrow_end = std::min(plan.segment.start + plan.segment.length, narrow);
  if (rate == IMSE_SAMPLE_RATE) {
    plan.narrow_begin = plan.part.start = plan.segment.start;
    plan.part.stop = plan.narrow_end;
    return plan;
  }
  const size_t before = clocks.at_16k(reach) + 1;  // that the first sample of the segment depends on
  plan.narrow_begin = clocks.meeting(plan.segment.start - std::min(plan.segment.start, before));
  plan.part.start = clocks.at_rate(plan.narrow_begin);
  plan.part.stop = std::min(clocks.at_rate(plan.narrow_end) + reach + 1, samples);
  return plan;
}

// A signal at 16 kHz from `start` on, as samples [begin, end) at a rate.
std::vector<float> at_rate(const Clocks& clocks, Resampler& resampler, const std::vector<float>& signal, size_t start,
                           size_t begin, size_t end) {
  const size_t first = clocks.meeting(start), skipped = clocks.at_rate(first);
  std::vector<float> longer(start - first), out;
  longer.insert(longer.end(), signal.begin(), signal.end());
  resampler.feed(longer, out);
  resampler.flush(static_cast<std::int64_t>(end - skipped), out);
  out.erase(out.begin(), out.begin() + static_cast<long>(begin - skipped));
  return out;
}

}  // namespace

size_t count_parts(int sample_rate, size_t samples) {
  check_rate(sample_rate);
  if (static_cast<std::uint64_t>(samples) > MOST_SAMPLES)
    throw Error(IMSE_INVALID_ARGUMENT, "a recording that is too long");
  return count_segments(narrow_samples(sample_rate, samples));
}

imse_part part_at(int sample_rate, size_t samples, size_t i) { return plan_part(sample_rate, samples, i).part; }

void enhance_part(Model& model, int sample_rate, size_t samples, size_t i, const float* noisy,
                  float attenuation_limit_db, float* enhanced) {
  const Plan plan = plan_part(sample_rate, samples, i);
  const imse_part& part = plan.part;
  const Segment& segment = plan.segment;
  const size_t needed = part.stop - part.start, count = part.end - part.begin;
  check_signal(noisy, needed);
  check_attenuation_limit(attenuation_limit_db);
  const bool resampled = sample_rate != IMSE_SAMPLE_RATE, with_high_band = sample_rate > IMSE_SAMPLE_RATE;
  std::vector<float> narrow(noisy, noisy + needed);
  if (resampled) {
    Resampler down(sample_rate, IMSE_SAMPLE_RATE, RECORDING_FILTER);
    std::vector<float> out;
    down.feed(narrow, out);
    down.flush(static_cast<std::int64_t>(plan.narrow_end - plan.narrow_begin), out);
    narrow.assign(out.begin() + static_cast<long>(segment.start - plan.narrow_begin), out.end());
  }
  const std::vector<float> input =
      segment.length > narrow.size() ? mirrored_end(narrow.data(), narrow.size(), segment.length) : narrow;
  std::vector<float> output(segment.length), gain(with_high_band ? segment.length : 0);
  model.enhance_segment(input.data(), segment.length, output.data(), with_high_band ? gain.data() : nullptr);
  const Clocks clocks(sample_rate);
  Resampler up(IMSE_SAMPLE_RATE, sample_rate, RECORDING_FILTER);
  const auto returned = [&](std::vector<float>& signal) {
    signal.resize(plan.narrow_end - segment.start);
    return at_rate(clocks, up, signal, segment.start, part.begin, part.end);
  };
  const float* original = noisy + (part.begin - part.start);
  if (resampled) {
    output = returned(output);
  } else {
    output.erase(output.begin(), output.begin() + static_cast<long>(part.begin - segment.start));
  }
  if (with_high_band) {
    const std::vector<float> without_high_band = returned(narrow);
    gain = returned(gain);
    for (size_t n = 0; n < count; n++)
      output[n] += std::clamp(gain[n], 0.0f, 1.0f) * (original[n] - without_high_band[n]);
  }
  const float kept = share_kept(attenuation_limit_db);
  for (size_t n = 0; n < count; n++) enhanced[n] = kept * original[n] + (1 - kept) * output[n];
}

}  // namespace imse
