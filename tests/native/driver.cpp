// Runs the engine and the kernels of training without Python, to be compiled with sanitizers: see test_sanitizers.py.
//
//   driver engine TENSORS N  every Nth length, 1 to 4 threads, damaged weights, several users at once
//   driver training          every kernel, on several threads at once
//   driver pool              exceptions in tasks
//   driver memory TENSORS    too little memory; run it where no gigabytes can be allocated
//
// WITH_BASELINE, WITH_AVX2 and WITH_AVX512 say for which instruction sets it is linked with the kernels of training.
//
// TENSORS is a text file with the network's parameters: a name and its shape in each line. The exit code is 0 if all is
// as it should be; otherwise a line on standard error says what is not.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/architecture.h"
#include "common/pool.h"
#include "imse.h"

using TrainingKernel = int(const int* sizes, const float* const* in, float* const* out) noexcept;

// Kernels that come with their gradient, of one instruction set.
#define PARTS(DO, isa)  \
  DO(isa, dense)        \
  DO(isa, feed_forward) \
  DO(isa, mala)         \
  DO(isa, convolution) DO(isa, depthwise) DO(isa, idconv) DO(isa, norm_prelu) DO(isa, expand) DO(isa, split_bins)
#define DECLARE(isa, name) extern "C" TrainingKernel imse_##isa##_##name, imse_##isa##_##name##_gradient;
#define ENTRY(isa, name) {#isa " " #name, {imse_##isa##_##name, imse_##isa##_##name##_gradient}},
#if defined(WITH_BASELINE)
PARTS(DECLARE, baseline)
#endif
#if defined(WITH_AVX2)
PARTS(DECLARE, avx2)
#endif
#if defined(WITH_AVX512)
PARTS(DECLARE, avx512)
#endif

namespace {

using Floats = std::vector<float>;

constexpr int CHANNELS = 8, BLOCKS = 1;

void expect(bool fine, const std::string& what) {
  if (!fine) throw std::runtime_error(what);
}

Floats random_floats(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> draw(-0.5f, 0.5f);
  Floats values(count);
  for (float& value : values) value = draw(generator);
  return values;
}

std::string instruction_set() {
  imse_error error{};
  const char* name = imse_instruction_set(&error);
  expect(name != nullptr, error.text);
  return name;
}

// ---- Engine ----

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  Floats values;
};

std::vector<Tensor> read_tensors(const char* path) {
  std::ifstream file(path);
  std::vector<Tensor> tensors;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Tensor tensor;
    words >> tensor.name;
    size_t size = 1;
    for (std::int64_t length = 0; words >> length; size *= length) tensor.shape.push_back(length);
    tensor.values = random_floats(size, static_cast<unsigned>(tensors.size()));
    tensors.push_back(tensor);
  }
  expect(!tensors.empty(), std::string("no tensors in ") + path);
  return tensors;
}

// The content of a weights file.
std::string weights_file(const std::vector<Tensor>& tensors) {
  std::ostringstream header;
  header << R"({"__metadata__":{"license":"MIT","imse.network":"{\"channels\":)" << CHANNELS << R"(,\"blocks\":)"
         << BLOCKS << R"(,\"bins\":256,\"attention\":\"mala\",\"embedding\":\"idconv\"}"})";
  std::string data;
  for (const Tensor& tensor : tensors) {
    header << R"(,")" << tensor.name << R"(":{"dtype":"F32","shape":[)";
    for (size_t i = 0; i < tensor.shape.size(); i++) header << (i ? "," : "") << tensor.shape[i];
    header << R"(],"data_offsets":[)" << data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header << "," << data.size() << "]}";
  }
  header << "}";
  const std::uint64_t length = header.str().size();
  std::string size(sizeof length, '\0');
  for (size_t i = 0; i < size.size(); i++) size[i] = static_cast<char>(length >> 8 * i);
  return size + header.str() + data;
}

class Engine {
 public:
  Engine(const std::string& file, int threads) {
    imse_error error{};
    network_ = imse_open(file.data(), file.size(), threads, &error);
    if (!network_) throw std::runtime_error(error.text);
  }
  Engine(const std::vector<Tensor>& tensors, int threads) : Engine(weights_file(tensors), threads) {}
  ~Engine() { imse_close(network_); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  imse_network* network() const { return network_; }

  // Magnitude, real and imaginary part, one behind the other.
  Floats run(int frames) const {
    const size_t size = static_cast<size_t>(frames) * IMSE_BINS;
    const Floats magnitude = random_floats(size, frames), phase = random_floats(size, frames + 1);
    Floats enhanced(size), real(size), imag(size);
    expect_fine([&](imse_error* error) {
      return imse_run_spectrum(network_, magnitude.data(), phase.data(), frames, enhanced.data(), real.data(),
                               imag.data(), error);
    });
    enhanced.insert(enhanced.end(), real.begin(), real.end());
    enhanced.insert(enhanced.end(), imag.begin(), imag.end());
    return enhanced;
  }

  Floats run_waveform(size_t samples) const {
    const Floats noisy = random_floats(samples, static_cast<unsigned>(samples));
    Floats enhanced(samples), before(IMSE_BINS * (1 + samples / IMSE_HOP)), after(before);
    expect_fine([&](imse_error* error) {
      return imse_run_waveform(network_, noisy.data(), samples, enhanced.data(), before.data(), after.data(), error);
    });
    return enhanced;
  }

  Floats enhance(size_t samples) const {
    const Floats noisy = random_floats(samples, 1);
    Floats enhanced(samples);
    expect_fine(
        [&](imse_error* error) { return imse_enhance(network_, noisy.data(), samples, 30, enhanced.data(), error); });
    return enhanced;
  }

  Floats segment(size_t samples) const {
    const Floats noisy = random_floats(samples, static_cast<unsigned>(samples));
    Floats enhanced(2 * samples);
    expect_fine([&](imse_error* error) {
      return imse_enhance_segment(network_, noisy.data(), samples, enhanced.data(), enhanced.data() + samples, error);
    });
    return enhanced;
  }

  // A signal in blocks of a length that varies.
  Floats stream(size_t samples, const imse_stream_settings& settings, unsigned seed) const {
    const Floats noisy = random_floats(samples, 1);
    std::mt19937 generator(seed);
    imse_error error{};
    imse_stream* stream = imse_stream_open(network_, &settings, &error);
    expect(stream != nullptr, error.text);
    const size_t latency = imse_stream_latency(stream);
    Floats all;
    size_t written = 0;
    for (size_t at = 0; at < samples;) {
      const size_t block = std::min<size_t>(samples - at, generator() % 900);
      Floats enhanced(block + latency);
      const Floats exactly(noisy.begin() + static_cast<long>(at), noisy.begin() + static_cast<long>(at + block));
      expect(!imse_stream_feed(stream, exactly.data(), block, enhanced.data(), &written, &error), error.text);
      all.insert(all.end(), enhanced.begin(), enhanced.begin() + static_cast<long>(written));
      at += block;
      expect(all.size() + latency >= at && all.size() <= at, "a stream is not as late as it says");
    }
    Floats enhanced(latency);
    expect(!imse_stream_flush(stream, enhanced.data(), &written, &error), error.text);
    all.insert(all.end(), enhanced.begin(), enhanced.begin() + static_cast<long>(written));
    imse_stream_close(stream);
    expect(all.size() == samples, "a stream changes the length");
    return all;
  }

  // For what is not read before an error.
  std::string message_of_run(size_t frames) const {
    float nothing = 0;
    imse_error error{};
    const int failed = imse_run_spectrum(network_, &nothing, &nothing, frames, &nothing, &nothing, &nothing, &error);
    return failed ? error.text : "no error";
  }

 private:
  template <class Call>
  static void expect_fine(const Call& call) {
    imse_error error{};
    if (call(&error) != IMSE_OK) throw std::runtime_error(error.text);
  }

  imse_network* network_;
};

void expect_message(const std::string& found, const std::string& expected) {
  expect(found.find(expected) != std::string::npos, "'" + found + "' instead of '" + expected + "'");
}

template <class Weights>
void expect_refused(const Weights& weights, const std::string& message) {
  try {
    const Engine engine(weights, 1);
  } catch (const std::runtime_error& error) {
    return expect_message(error.what(), message);
  }
  throw std::runtime_error("not refused: " + message);
}

void damaged_weights(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> changed = tensors;
  changed.pop_back();
  expect_refused(changed, "no tensor '" + tensors.back().name + "'");
  changed = tensors;
  changed.push_back({"more", {1}, {1.0f}});
  expect_refused(changed, "unexpected tensor 'more'");
  changed.back() = tensors[0];
  expect_refused(changed, "not a safetensors file, or a damaged one");
  for (size_t i = 0; i < tensors.size(); i += 11) {
    changed = tensors;
    changed[i].shape.push_back(1);
    expect_refused(changed, "tensor '" + tensors[i].name + "' is [");
    changed[i].shape.back() = 2;
    expect_refused(changed, "a tensor of another size than its shape");
    changed = tensors;
    changed[i].values.back() = i % 2 ? NAN : INFINITY;
    expect_refused(changed, "tensor '" + tensors[i].name + "' has a value that is not finite");
    changed[i].values.back() = -1e30f;
    expect_refused(changed, "tensor '" + tensors[i].name + "' has a value beyond 1000");
  }
}

// Cut at any place, or with some bytes changed, mostly of the header: refused or run, with nothing read outside of it.
void damaged_files(const std::string& file, int count) {
  std::mt19937 generator(1);
  const size_t header = file.find("\"}") + 4000;
  for (int i = 0; i < count; i++) {
    std::string changed = file;
    if (i % 4 == 0) changed.resize(generator() % (i % 8 ? file.size() : header));
    for (unsigned changes = generator() % 4; changes && !changed.empty(); changes--) {
      const size_t at = generator() % std::min(changed.size(), i % 5 ? header : file.size());
      const std::string_view likely = "0123456789{}[]\",:-\\";
      changed[at] = generator() % 2 ? likely[generator() % likely.size()] : static_cast<char>(generator());
    }
    // Bytes that are exactly as long, so that reading beyond them is noticed.
    const std::vector<char> exactly(changed.begin(), changed.end());
    imse_error error{};
    imse_network* network = imse_open(exactly.data(), exactly.size(), 1, &error);
    expect(network || error.text[0], "refused without a reason");
    imse_close(network);
  }
}

// Every length in steps of `step`, each with some number of threads.
void engine(const std::vector<Tensor>& tensors, int step) {
  const std::string file = weights_file(tensors);
  for (int threads = 1; threads <= 4; threads++) {
    const Engine engine(file, threads);
    for (int i = 0; i < 50; i += step) {
      const int frames = i % 2 ? 1 + i / 2 : 50 - i / 2;  // long and short ones in turn
      if (frames % 4 + 1 != threads) continue;
      for (const float value : engine.run(frames)) expect(std::isfinite(value), "a result that is not finite");
    }
    expect_message(engine.message_of_run(0), "frames must be");
    expect_message(engine.message_of_run(-1), "frames must be");
  }

  const Engine shared(tensors, 2);
  const std::vector<int> lengths = {5, 17, 2};
  std::map<int, Floats> alone;
  for (const int frames : lengths) alone[frames] = shared.run(frames);
  std::atomic<int> wrong{0};
  std::vector<std::thread> users;
  for (size_t user = 0; user < lengths.size(); user++)
    users.emplace_back([&, user] {
      for (size_t i = 0; i < lengths.size(); i++) {
        const int frames = lengths[(user + i) % lengths.size()];
        wrong += shared.run(frames) != alone.at(frames);
      }
    });
  for (std::thread& user : users) user.join();
  expect(wrong == 0, "users of one network change each other's results");

  for (const size_t samples : {1, 2, 99, 255, 256, 510, 1601})
    for (const float value : shared.run_waveform(samples)) expect(std::isfinite(value), "a sample that is not finite");
  for (const float value : shared.enhance(3)) expect(std::isfinite(value), "a sample that is not finite");
  for (const size_t samples : {IMSE_SHORTEST_SEGMENT, 3333})
    for (const float value : shared.segment(samples)) expect(std::isfinite(value), "a sample that is not finite");
  for (const int rate : {8000, 16000, 44100})
    for (const size_t samples : {1, 250, rate / 5}) {
      const imse_stream_settings settings{rate, 2400, 1600, 800, 300, 200, 20};
      expect(shared.stream(samples, settings, 1) == shared.stream(samples, settings, 2), "blocks change a stream");
    }
  damaged_weights(tensors);
  damaged_files(file, 600 / step);
}

// ---- Training ----

const std::map<std::string, std::pair<TrainingKernel*, TrainingKernel*>>& training_kernels() {
  static const std::map<std::string, std::pair<TrainingKernel*, TrainingKernel*>> kernels = {
#if defined(WITH_BASELINE)
    PARTS(ENTRY, baseline)
#endif
#if defined(WITH_AVX2)
        PARTS(ENTRY, avx2)
#endif
#if defined(WITH_AVX512)
            PARTS(ENTRY, avx512)
#endif
  };
  return kernels;
}

// A call of a kernel and of its gradient: the sizes, and how many floats each array has.
struct Call {
  std::string name;
  std::vector<int> sizes;
  size_t in, out;
  std::vector<size_t> parameters, kept = {}, constants = {};
};

std::vector<Call> training_calls(int c, int frames, int bins) {
  const size_t map = static_cast<size_t>(c) * frames * bins, width = c, square = width * width,
               group = width / imse::BRANCH_DIVISOR;
  const int hidden = static_cast<int>(imse::FEED_FORWARD_FACTOR * c), outputs = c + 3;
  std::vector<size_t> layers;
  for (int i = 1; i <= imse::DENSE_DEPTH; i++)
    layers.insert(layers.end(), {9 * square * i, width, width, width, width});
  return {
      {"dense",
       {c, frames, bins, imse::DENSE_DEPTH},
       map,
       map,
       layers,
       {imse::DENSE_DEPTH * map, 2 * imse::DENSE_DEPTH * width}},
      {"feed_forward",
       {c, hidden, frames, bins},
       map,
       map,
       {width, 2 * hidden * width, size_t(18) * hidden, hidden * width}},
      {"mala",
       {c, frames, bins},
       map,
       map,
       {width, 4 * square, 4 * width, imse::LEPE_SIZE * imse::LEPE_SIZE * width, width, square, width},
       {width * (imse::HEAD_SIZE + 2)},
       {size_t(imse::HEAD_SIZE) * frames * bins}},
      {"convolution", {c, outputs, 3, 3, frames, bins}, map, map / c * outputs, {9 * width * outputs, size_t(outputs)}},
      {"depthwise", {c, frames, bins}, map, map, {9 * width}},
      {"idconv",
       {c, frames, bins},
       map,
       map,
       {square, 9 * group, group, imse::BAND * group, group, imse::BAND * group, group}},
      {"norm_prelu", {c, frames, bins}, map, map, {width, width, width}, {2 * width}},
      {"expand", {c, frames, bins}, map, 2 * map, {4 * square, 3 * width}},
      {"split_bins", {c, frames, bins / 2}, map, map, {}},
  };
}

std::vector<Floats> arrays(const std::vector<size_t>& sizes, unsigned seed) {
  std::vector<Floats> made;
  for (const size_t size : sizes) made.push_back(random_floats(size, seed++));
  return made;
}

// Forward and gradient; all that was written, of which nothing may be other than finite.
std::vector<Floats> run_call(const std::string& isa, const Call& call) {
  const auto& [forward, gradient] = training_kernels().at(isa + " " + call.name);
  std::vector<const float*> in;
  std::vector<float*> out;
  const auto read = [&](const std::vector<Floats>& all) {
    for (const Floats& one : all) in.push_back(one.data());
  };
  const auto write = [&](std::vector<Floats>& all) {
    for (Floats& one : all) out.push_back(one.data());
  };

  const std::vector<Floats> x = arrays({call.in}, 1), g = arrays({call.out}, 2), constants = arrays(call.constants, 3);
  const std::vector<Floats> parameters = arrays(call.parameters, 4);
  std::vector<Floats> kept = arrays(call.kept, 5), result = arrays({call.out}, 6);
  read(x), read(constants), read(parameters);
  write(kept), write(result);
  expect(forward(call.sizes.data(), in.data(), out.data()) == 0, call.name + " failed");

  std::vector<Floats> of_x = arrays({call.in}, 7), of_parameters = arrays(call.parameters, 8);
  in.clear(), out.clear();
  read(x), read(kept), read(g), read(constants), read(parameters);
  write(of_x), write(of_parameters);
  expect(gradient(call.sizes.data(), in.data(), out.data()) == 0, call.name + "_gradient failed");

  for (const auto* part : {&result, &of_x, &of_parameters}) kept.insert(kept.end(), part->begin(), part->end());
  for (const Floats& array : kept)
    for (const float value : array) expect(std::isfinite(value), call.name + ": a result that is not finite");
  return kept;
}

void training() {
  const std::string isa = instruction_set();
  for (int frames = 1; frames <= 50; frames += frames < 12 ? 1 : 19)
    for (const Call& call : training_calls(CHANNELS, frames, frames % 2 ? 32 : 64)) {
      const std::vector<Floats> alone = run_call(isa, call);
      if (frames % 4) continue;
      std::atomic<int> wrong{0};
      std::vector<std::thread> threads;
      for (int i = 0; i < 1 + frames / 4 % 4; i++) threads.emplace_back([&] { wrong += run_call(isa, call) != alone; });
      for (std::thread& thread : threads) thread.join();
      expect(wrong == 0, call.name + ": threads change each other's results");
    }
}

// ---- The pool ----

void pool() {
  imse::Pool pool(4);
  for (int thrower = 0; thrower < 5; thrower++) {  // 4: all of them
    std::atomic<int> ended{0};
    const auto task = [&](int worker) {
      ended++;
      if (worker == thrower || thrower == 4) throw std::runtime_error("of a task");
    };
    std::string message;
    try {
      pool.run(task);
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    expect(message == "of a task", "the exception of a task was lost");
    expect(ended == 4, "a task did not run");
    ended = 0;
    pool.run([&](int) { ended++; });  // neither the task nor its exception is left
    expect(ended == 4, "the pool does not work after an exception");
  }
}

// ---- Too little memory ----

void memory(const std::vector<Tensor>& tensors) {
  const Engine engine(tensors, 2);
  const Floats before = engine.run(4);
  expect_message(engine.message_of_run(1 << 24), "not enough memory");
  expect(engine.run(4) == before, "the engine does not work after an error");
  for (Call call : training_calls(CHANNELS, 4, 64)) {
    if (call.name != "mala" && call.name != "idconv") continue;
    // Nothing is read before the first allocation, which fails.
    call.sizes[1] = 1 << 24;
    const auto& [forward, gradient] = training_kernels().at(instruction_set() + " " + call.name);
    const std::vector<const float*> in(16);
    const std::vector<float*> out(16);
    if (call.name == "mala") expect(forward(call.sizes.data(), in.data(), out.data()) == 1, "mala did not fail");
    expect(gradient(call.sizes.data(), in.data(), out.data()) == 1, call.name + "_gradient did not fail");
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string what = count > 1 ? arguments[1] : "";
    if (what == "engine" && count > 3)
      engine(read_tensors(arguments[2]), std::stoi(arguments[3]));
    else if (what == "training")
      training();
    else if (what == "pool")
      pool();
    else if (what == "memory" && count > 2)
      memory(read_tensors(arguments[2]));
    else
      throw std::runtime_error("see the top of driver.cpp");
    std::cout << instruction_set() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
