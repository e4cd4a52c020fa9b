/*
 * Whether a text is JSON as RFC 8259 has it. QuickJS's own reader takes more ("\x41", \v, \', a line break in a string,
 * 5., -01) and has no position for what it does not take. packages/skeleton/src/json.ts has the words for what is
 * expected, in this order, and the same check for Node: a test holds them to each other.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum json_expected {
  json_nothing,         /* it is JSON */
  json_value,
  json_value_or_end,    /* of a list */
  json_key,
  json_key_or_end,      /* of an object */
  json_colon,
  json_comma_or_brace,
  json_comma_or_bracket,
  json_end,             /* of the text */
  json_quote,           /* that ends a string */
  json_no_control,      /* character in a string */
  json_escape,
  json_hex_digit,
  json_digit,
  json_no_leading_zero,
  json_less_depth,
};

enum { json_most_depth = 1000 };

static inline int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

/* Goes over a string that begins before *at. */
static enum json_expected json_string(const uint8_t *text, size_t length, size_t *at) {
  size_t i = *at;
  for (;;) {
    while (i < length && text[i] >= ' ' && text[i] != '"' && text[i] != '\\') i++;
    *at = i;
    if (i >= length) return json_quote;
    if (text[i] == '"') return *at = i + 1, json_nothing;
    if (text[i] != '\\') return json_no_control;
    *at = ++i;
    if (i >= length) return json_quote;
    uint8_t what = text[i++];
    if (what == 'u') {
      for (int digits = 0; digits < 4; digits++, i++) {
        *at = i;
        if (i >= length || !(is_digit(text[i]) || ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'f'))) return json_hex_digit;
      }
    } else if (!(what == '"' || what == '\\' || what == '/' || what == 'b' || what == 'f' || what == 'n' || what == 'r' ||
                 what == 't'))
      return json_escape;
  }
}

static enum json_expected json_number(const uint8_t *text, size_t length, size_t *at) {
  size_t i = *at;
  if (text[i] == '-') i++;
  *at = i;
  if (i >= length || !is_digit(text[i])) return json_digit;
  if (text[i] == '0' && i + 1 < length && is_digit(text[i + 1])) return json_no_leading_zero;
  while (i < length && is_digit(text[i])) i++;
  if (i < length && text[i] == '.') {
    *at = ++i;
    if (i >= length || !is_digit(text[i])) return json_digit;
    while (i < length && is_digit(text[i])) i++;
  }
  if (i < length && (text[i] | 32) == 'e') {
    i++;
    if (i < length && (text[i] == '+' || text[i] == '-')) i++;
    *at = i;
    if (i >= length || !is_digit(text[i])) return json_digit;
    while (i < length && is_digit(text[i])) i++;
  }
  *at = i;
  return json_nothing;
}

/* What was expected where the text, in UTF-8, stops being JSON; *at is that byte, `length` at its end. */
static enum json_expected json_check(const uint8_t *text, size_t length, size_t *at) {
  char closing[json_most_depth]; /* of what is open */
  int depth = 0;
  enum json_expected expected = json_value, wrong;
  size_t i = 0;
  for (;;) {
    while (i < length && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r')) i++;
    *at = i;
    if (i >= length) return expected == json_end ? json_nothing : expected;
    uint8_t next = text[i];
    switch (expected) {
    case json_end:
      return json_end;
    case json_colon:
      if (next != ':') return expected;
      i++;
      expected = json_value;
      continue;
    case json_comma_or_brace:
    case json_comma_or_bracket:
      if (next == ',') {
        i++;
        expected = expected == json_comma_or_brace ? json_key : json_value;
        continue;
      }
      if (next != closing[depth - 1]) return expected;
      break;
    case json_key:
    case json_key_or_end:
      if (next == '"') {
        *at = i + 1;
        if ((wrong = json_string(text, length, at))) return wrong;
        i = *at;
        expected = json_colon;
        continue;
      }
      if (next != '}' || expected == json_key) return expected;
      break;
    default: /* a value */
      if (next == '{' || next == '[') {
        if (depth == json_most_depth) return json_less_depth;
        closing[depth++] = next == '{' ? '}' : ']';
        expected = next == '{' ? json_key_or_end : json_value_or_end;
        i++;
        continue;
      }
      if (next == ']' && expected == json_value_or_end) break;
      if (next == '"') {
        *at = i + 1;
        if ((wrong = json_string(text, length, at))) return wrong;
      } else if (next == '-' || is_digit(next)) {
        if ((wrong = json_number(text, length, at))) return wrong;
      } else if (length - i >= 4 && (!memcmp(text + i, "true", 4) || !memcmp(text + i, "null", 4)))
        *at = i + 4;
      else if (length - i >= 5 && !memcmp(text + i, "false", 5))
        *at = i + 5;
      else
        return expected;
      i = *at;
      goto ended;
    }
    /* What was open is closed. */
    i++;
    depth--;
  ended:
    expected = depth == 0 ? json_end : closing[depth - 1] == '}' ? json_comma_or_brace : json_comma_or_bracket;
  }
}
