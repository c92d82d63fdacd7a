// JSON (RFC 8259), as far as the headers of weights files need it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imse {

struct Json {
  enum class Kind : std::uint8_t { null, boolean, integer, real, string, array, object };

  Kind kind = Kind::null;
  std::int64_t integer = 0;  // reals and booleans have no value: nothing asks for it
  std::string text;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;

  // Of an object; null where there is none.
  const Json* find(std::string_view name) const;
};

// Throws std::runtime_error where the text is not JSON, is nested deeper than 16 levels, or has a name twice in one
// object.
Json parse_json(std::string_view text);

}  // namespace imse
