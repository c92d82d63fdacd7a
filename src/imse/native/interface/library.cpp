// The library, without its kernels: they are compiled once for each instruction set. As one, the rest takes half of the
// time, most of which goes to headers of the standard library.
// NOLINTBEGIN(bugprone-suspicious-include)
#include "../engine/chosen_kernels.cpp"
#include "../engine/layers.cpp"
#include "../engine/past.cpp"
#include "../engine/session.cpp"
#include "../engine/weights.cpp"
#include "../signal/gain.cpp"
#include "../signal/level.cpp"
#include "../signal/resampler.cpp"
#include "../signal/segments.cpp"
#include "../signal/transform.cpp"
#include "checks.cpp"
#include "imse.cpp"
#include "json.cpp"
#include "levelled.cpp"
#include "model.cpp"
#include "part.cpp"
#include "recording.cpp"
#include "sliding_window.cpp"
#include "stream.cpp"
#include "weights_file.cpp"
// NOLINTEND(bugprone-suspicious-include)
