#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lriad {
namespace {

using ::testing::HasSubstr;

std::string problem_of(const std::string& text) {
  std::string problem, ordered;
  EXPECT_FALSE(parse_json_object(text, problem).is_object()) << text.substr(0, 80);
  EXPECT_FALSE(parse_json_object<nlohmann::ordered_json>(text, ordered).is_object()) << text.substr(0, 80);
  EXPECT_EQ(problem, ordered);
  return problem;
}

std::string nested(std::size_t levels) {
  return "{\"a\": " + std::string(levels, '[') + std::string(levels, ']') + "}";
}

TEST(Json, OfAnObjectIsRead) {
  std::string problem;
  EXPECT_EQ(parse_json_object(R"({"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]})", problem)["b"][1]["a"], 3);
  EXPECT_TRUE(parse_json_object(nested(kMaxJsonDepth), problem).is_object());
  EXPECT_EQ(problem, "");
}

TEST(Json, ThatIsNoObjectIsRefused) {
  EXPECT_EQ(problem_of("[1]"), "is not a JSON object, got a JSON array");
  for (const char* text : {"", "{", "{\"a\": 1} x", "{\"a\": \"\xFF\"}", "{\"a\": NaN}", "{\"a\": 1e999}"})
    EXPECT_THAT(problem_of(text), HasSubstr("is not valid JSON, got ")) << text;
}

TEST(Json, WithAKeyTwiceInOneObjectIsRefused) {
  EXPECT_EQ(problem_of(R"({"x": 1, "a": {"b": 1, "\u0062": 2}})"), "has the key \"b\" twice in one object");
}

TEST(Json, NestedDeeplyIsRefusedHoweverDeep) {
  for (const std::size_t levels : {std::size_t{kMaxJsonDepth} + 1, std::size_t{1'000'000}})
    EXPECT_EQ(problem_of(nested(levels)), "is nested deeper than 64 levels");
}

TEST(Json, ThatKeepsTheOrderOfManyKeysIsRefusedBeforeItTakesLong) {
  std::string text = "{\"first\": 0", problem;
  for (int i = 0; i < 100'000; ++i) text += concat(",\"", i, "\":0");
  text += "}";
  EXPECT_EQ(parse_json_object(text, problem).size(), 100'001u);
  EXPECT_FALSE(parse_json_object<nlohmann::ordered_json>(text, problem).is_object());
  EXPECT_EQ(problem, "has an object of more than 10000 keys");
}

TEST(Json, GivesWholeNumbersOnlyWhereTheyAreWhole) {
  EXPECT_EQ(whole_number(parse_json("-3")), -3);
  for (const char* text : {"3.0", "1e300", "\"3\"", "null", "[3]"})
    EXPECT_THROW(whole_number(parse_json(text)), nlohmann::json::type_error) << text;
}

TEST(Json, LinesHoldNothingThatAReaderTakesForTheirEnd) {
  const std::string text = "\u0085\u0085 a \u2028 \u00C2 \u2029\n\u2027";
  const std::string line = json_line(nlohmann::json(text));
  EXPECT_EQ(line, "\"\\u0085\\u0085 a \\u2028 \u00C2 \\u2029\\n\u2027\"");
  EXPECT_EQ(parse_json(line), text);
  EXPECT_EQ(json_line(nlohmann::ordered_json("\xFF")), "\"\uFFFD\"");
}

}  // namespace
}  // namespace lriad
