#include "json.h"

#include <limits>
#include <stdexcept>
#include <unordered_set>

namespace imse {
namespace {

constexpr int DEEPEST = 16;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_space();
    expect(at_ == text_.size());
    return value;
  }

 private:
  static void expect(bool fine) {
    if (!fine) throw std::runtime_error("not JSON");
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  char next() {
    expect(at_ < text_.size());
    return text_[at_++];
  }

  bool take(char wanted) {
    skip_space();
    if (peek() != wanted || at_ == text_.size()) return false;
    at_++;
    return true;
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) at_++;
  }

  Json parse_value(int depth) {
    expect(depth < DEEPEST);
    skip_space();
    switch (peek()) {
      case '{':
        return parse_object(depth);
      case '[':
        return parse_array(depth);
      case '"':
        return of_kind(Json::Kind::string, parse_string());
      case 't':
        return parse_word("true", Json::Kind::boolean);
      case 'f':
        return parse_word("false", Json::Kind::boolean);
      case 'n':
        return parse_word("null", Json::Kind::null);
      default:
        return parse_number();
    }
  }

  static Json of_kind(Json::Kind kind, std::string text = {}) {
    Json value;
    value.kind = kind;
    value.text = std::move(text);
    return value;
  }

  Json parse_word(std::string_view word, Json::Kind kind) {
    expect(text_.substr(at_, word.size()) == word);
    at_ += word.size();
    return of_kind(kind);
  }

  Json parse_object(int depth) {
    Json value = of_kind(Json::Kind::object);
    std::unordered_set<std::string> names;
    at_++;
    if (take('}')) return value;
    do {
      skip_space();
      expect(peek() == '"');
      std::string name = parse_string();
      expect(names.insert(name).second && take(':'));
      value.members.emplace_back(std::move(name), parse_value(depth + 1));
    } while (take(','));
    expect(take('}'));
    return value;
  }

  Json parse_array(int depth) {
    Json value = of_kind(Json::Kind::array);
    at_++;
    if (take(']')) return value;
    do value.items.push_back(parse_value(depth + 1));
    while (take(','));
    expect(take(']'));
    return value;
  }

  std::string parse_string() {
    std::string text;
    at_++;
    for (char c = next(); c != '"'; c = next()) {
      expect(static_cast<unsigned char>(c) >= 0x20);
      if (c == '\\')
        append_escaped(text);
      else
        text += c;
    }
    return text;
  }

  void append_escaped(std::string& text) {
    const char c = next();
    if (c == 'u') return append_utf8(text, parse_code_point());
    constexpr std::string_view NAMES = "\"\\/bfnrt", MEANT = "\"\\/\b\f\n\r\t";
    const size_t which = NAMES.find(c);
    expect(which != std::string_view::npos);
    text += MEANT[which];
  }

  unsigned parse_hexadecimal() {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
      const char c = next();
      const size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
      expect(digit != std::string_view::npos);
      value = 16 * value + static_cast<unsigned>(digit < 16 ? digit : digit - 6);
    }
    return value;
  }

  // One character may be written as two surrogates.
  unsigned parse_code_point() {
    constexpr unsigned HIGH = 0xD800, LOW = 0xDC00, END = 0xE000, BEYOND = 0x10000;
    const unsigned first = parse_hexadecimal();
    if (first < HIGH || first >= END) return first;
    expect(first < LOW && next() == '\\' && next() == 'u');
    const unsigned second = parse_hexadecimal();
    expect(second >= LOW && second < END);
    return BEYOND + ((first - HIGH) << 10) + (second - LOW);
  }

  static void append_utf8(std::string& text, unsigned code) {
    const auto add = [&](unsigned byte) { text += static_cast<char>(byte); };
    if (code < 0x80) return add(code);
    if (code < 0x800) {
      add(0xC0 | code >> 6);
    } else {
      if (code < 0x10000) {
        add(0xE0 | code >> 12);
      } else {
        add(0xF0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3F));
      }
      add(0x80 | (code >> 6 & 0x3F));
    }
    add(0x80 | (code & 0x3F));
  }

  bool digit() const { return peek() >= '0' && peek() <= '9'; }

  void skip_digits() {
    expect(digit());
    while (digit()) at_++;
  }

  Json parse_number() {
    const bool negative = peek() == '-';
    if (negative) at_++;
    const size_t first = at_;
    skip_digits();
    expect(text_[first] != '0' || at_ == first + 1);
    const std::string_view digits = text_.substr(first, at_ - first);
    bool whole = true;
    if (peek() == '.') {
      whole = false;
      at_++;
      skip_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      at_++;
      if (peek() == '+' || peek() == '-') at_++;
      skip_digits();
    }
    Json value = of_kind(Json::Kind::real);
    constexpr std::int64_t LARGEST = std::numeric_limits<std::int64_t>::max();
    for (const char c : digits) {
      const int added = c - '0';
      if (value.integer > (LARGEST - added) / 10) return of_kind(Json::Kind::real);  // too large for an integer
      value.integer = 10 * value.integer + added;
    }
    if (negative) value.integer = -value.integer;
    if (whole) value.kind = Json::Kind::integer;
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  for (const auto& [key, value] : members)
    if (key == name) return &value;
  return nullptr;
}

Json parse_json(std::string_view text) { return Parser(text).document(); }

}  // namespace imse
