#include "lriad/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lriad/core/error.h"

namespace lriad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Csv, KeepsLineEndsInQuotesAndCountsThem) {
  const CsvTable table = parse_csv("a,\"x\ny\"\n\nb,\n", "t.csv");
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0].fields, ElementsAre("a", "x\ny"));
  EXPECT_THAT(table.rows[1].fields, ElementsAre("b", ""));
  EXPECT_EQ(table.rows[1].line, 4);
}

TEST(Csv, TakesCarriageReturnsAndAByteOrderMark) {
  const CsvTable table = parse_csv("\xEF\xBB\xBFobject,mask\r\ncandle,\r\n\"a \"\"b\"\"\",c\r\n", "t.csv");
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_THAT(table.rows[0].fields, ElementsAre("object", "mask"));
  EXPECT_THAT(table.rows[1].fields, ElementsAre("candle", ""));
  EXPECT_THAT(table.rows[2].fields, ElementsAre("a \"b\"", "c"));
}

TEST(Csv, NamesTheLineOfAnOpenQuote) {
  EXPECT_THAT([] { parse_csv("a\n\"b", "t.csv"); },
              ThrowsMessage<Error>(HasSubstr("[data] t.csv line 2: a quote is opened and never closed")));
}

}  // namespace
}  // namespace lriad
