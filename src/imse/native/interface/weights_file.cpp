#include "weights_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "../common/error.h"
#include "json.h"

namespace imse {
namespace {

// The header of a network with 64 blocks per stage is about half as long.
constexpr size_t LONGEST_HEADER = 1 << 20;
constexpr size_t LENGTH_BYTES = 8;
// Key of the network's configuration in the metadata: `imse.weights.CONFIG_KEY`.
constexpr const char* CONFIG_KEY = "imse.network";

[[noreturn]] void damaged(const std::string& why) {
  throw Error(IMSE_UNSUPPORTED_WEIGHTS, "not a safetensors file, or a damaged one: " + why);
}

[[noreturn]] void invalid(const std::string& why) { throw Error(IMSE_INVALID_WEIGHTS, why); }

[[noreturn]] void not_ours() { invalid("a safetensors file, but not of imse, or a damaged one"); }

template <class Number>
Number little_endian(const unsigned char* bytes) {
  Number value = 0;
  for (size_t i = 0; i < sizeof value; i++) value |= static_cast<Number>(static_cast<Number>(bytes[i]) << 8 * i);
  return value;
}

template <class Float, class Bits>
Float from_bits(Bits bits) {
  static_assert(sizeof(Float) == sizeof(Bits));
  Float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F, mantissa = bits & 0x3FF;
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 0x1F)
    return mantissa ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa | 0x400), exponent - 25);
}

// A kind of numbers: how many bytes each has, and its value as a float; what is beyond those becomes infinite.
struct NumberType {
  const char* name;
  size_t bytes;
  float (*value)(const unsigned char* bytes);
};

float to_float(double value) {
  if (std::fabs(value) <= std::numeric_limits<float>::max() || std::isnan(value)) return static_cast<float>(value);
  return value > 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
}

constexpr NumberType NUMBER_TYPES[] = {
    {"F32", 4, [](const unsigned char* at) { return from_bits<float>(little_endian<std::uint32_t>(at)); }},
    {"F16", 2, [](const unsigned char* at) { return from_half(little_endian<std::uint16_t>(at)); }},
    {"BF16", 2,
     [](const unsigned char* at) {
       return from_bits<float>(static_cast<std::uint32_t>(little_endian<std::uint16_t>(at)) << 16);
     }},
    {"F64", 8, [](const unsigned char* at) { return to_float(from_bits<double>(little_endian<std::uint64_t>(at))); }},
};

const NumberType& number_type(const std::string& tensor, const std::string& name) {
  for (const NumberType& type : NUMBER_TYPES)
    if (name == type.name) return type;
  invalid("tensor '" + tensor + "' holds " + name + " instead of floating-point numbers");
}

const Json& member(const Json& object, const char* name, Json::Kind kind) {
  const Json* found = object.find(name);
  if (!found || found->kind != kind) damaged(std::string("no usable '") + name + "' in its header");
  return *found;
}

// Natural numbers.
std::vector<std::int64_t> numbers(const Json& array) {
  std::vector<std::int64_t> all;
  for (const Json& item : array.items) {
    if (item.kind != Json::Kind::integer || item.integer < 0) damaged("a size that is no natural number");
    all.push_back(item.integer);
  }
  return all;
}

// The product, or more than `limit` as soon as it is.
std::int64_t product(const std::vector<std::int64_t>& lengths, std::int64_t limit) {
  if (std::find(lengths.begin(), lengths.end(), 0) != lengths.end()) return 0;
  std::int64_t product = 1;
  for (const std::int64_t length : lengths) {
    if (length > limit / product) return limit + 1;
    product *= length;
  }
  return product;
}

// A part of the data, of which the parts of all tensors leave nothing out and have nothing in common.
using Range = std::pair<std::int64_t, std::int64_t>;

Range read_tensor(const std::string& name, const Json& entry, const unsigned char* data, std::int64_t size,
                  Tensors& tensors) {
  const Tensors::Shape shape = numbers(member(entry, "shape", Json::Kind::array));
  const std::vector<std::int64_t> range = numbers(member(entry, "data_offsets", Json::Kind::array));
  const NumberType& type = number_type(name, member(entry, "dtype", Json::Kind::string).text);
  if (range.size() != 2 || range[0] > range[1] || range[1] > size) damaged("a tensor outside of it");
  const auto width = static_cast<std::int64_t>(type.bytes);
  const std::int64_t count = product(shape, size / width);
  if (count * width != range[1] - range[0]) damaged("a tensor of another size than its shape");
  std::vector<float> values(static_cast<size_t>(count));
  for (std::int64_t i = 0; i < count; i++) values[static_cast<size_t>(i)] = type.value(data + range[0] + i * width);
  tensors.add(name, std::move(values), shape);
  return {range[0], range[1]};
}

void expect_no_gaps(std::vector<Range> ranges, std::int64_t size) {
  std::sort(ranges.begin(), ranges.end());
  std::int64_t at = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != at) damaged("tensors that overlap, or a gap between them");
    at = end;
  }
  if (at != size) damaged("more or less data than its tensors have");
}

// A size in the configuration.
int take_size(const Json& config, const char* name) {
  const Json* found = config.find(name);
  if (!found) not_ours();
  constexpr int LARGEST = std::numeric_limits<int>::max();
  if (found->kind != Json::Kind::integer || found->integer < 1 || found->integer > LARGEST)
    invalid(std::string("unusable network configuration: ") + name + " must be a whole number from 1 to " +
            std::to_string(LARGEST));
  return static_cast<int>(found->integer);
}

const std::string& take_part(const Json& config, const char* name) {
  const Json* found = config.find(name);
  if (!found || found->kind != Json::Kind::string) not_ours();
  return found->text;
}

Json parse_header(std::string_view text) {
  try {
    Json header = parse_json(text);
    if (header.kind != Json::Kind::object) damaged("its header is no object");
    return header;
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    damaged(std::string("its header is ") + error.what());
  }
}

Json parse_config(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find(CONFIG_KEY);
  if (found == metadata.end()) not_ours();
  try {
    return parse_json(found->second);
  } catch (const std::runtime_error&) {
    not_ours();
  }
}

}  // namespace

WeightsFile::WeightsFile(const void* content, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(content);
  if (size < LENGTH_BYTES) damaged("it ends within its header");
  const auto header_size = little_endian<std::uint64_t>(bytes);
  if (header_size > LONGEST_HEADER) damaged("its header is too long");
  if (header_size > size - LENGTH_BYTES) damaged("it ends within its header");
  const auto length = static_cast<size_t>(header_size);
  const unsigned char* data = bytes + LENGTH_BYTES + length;
  const auto data_size = static_cast<std::int64_t>(size - LENGTH_BYTES - length);
  const Json header = parse_header({reinterpret_cast<const char*>(bytes) + LENGTH_BYTES, length});

  if (const Json* texts = header.find("__metadata__"))
    for (const auto& [key, value] : texts->members) {
      if (value.kind != Json::Kind::string) damaged("metadata that are not texts");
      metadata[key] = value.text;
    }
  const Json config = parse_config(metadata);
  channels = take_size(config, "channels");
  blocks = take_size(config, "blocks");
  const int bins = take_size(config, "bins");
  const std::string attention = take_part(config, "attention"), embedding = take_part(config, "embedding");
  for (const auto& [name, value] : config.members)
    if (name != "channels" && name != "blocks" && name != "bins" && name != "attention" && name != "embedding")
      invalid("unusable network configuration: unexpected " + name);
  if (attention != "mala" || embedding != "idconv")
    throw Error(IMSE_UNSUPPORTED_WEIGHTS, "the compiled engine has no " + attention + " and " + embedding);
  if (bins != IMSE_BINS)
    throw Error(IMSE_UNSUPPORTED_WEIGHTS,
                "the compiled engine runs on " + std::to_string(IMSE_BINS) + " bins, not " + std::to_string(bins));
  std::vector<Range> ranges;
  for (const auto& [name, entry] : header.members)
    if (name != "__metadata__") ranges.push_back(read_tensor(name, entry, data, data_size, tensors));
  expect_no_gaps(std::move(ranges), data_size);
}

}  // namespace imse
