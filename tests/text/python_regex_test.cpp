#include "lriad/text/python_regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lriad/core/error.h"

namespace lriad {
namespace {

TEST(PythonRegex, FitsTheWholeText) {
  EXPECT_TRUE(full_match("a.c", "abc"));
  EXPECT_FALSE(full_match("a.c", "abcd"));
  EXPECT_FALSE(full_match("b", "abc"));
  EXPECT_TRUE(full_match("a|abc", "abc"));
  EXPECT_TRUE(full_match(R"(^(?!.*visual).*(?P<end>q_proj|v_proj)$)", "model.layers.0.q_proj"));
  EXPECT_FALSE(full_match(R"(^(?!.*visual).*(?P<end>q_proj|v_proj)$)", "visual.q_proj"));
}

TEST(PythonRegex, SaysWhichExpressionCannotBeReadOrTakesTooLong) {
  EXPECT_THAT([] { full_match("(a", "a"); }, ::testing::ThrowsMessage<Error>(::testing::HasSubstr("\"(a\"")));
  EXPECT_THAT([] { full_match("(a*)*b", std::string(60, 'a')); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("(a*)*b")));
}

}  // namespace
}  // namespace lriad
