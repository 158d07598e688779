#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "data/data_folder.h"

namespace lriad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(DescribeData, CountsBesideThePublishedFigures) {
  const DataFolder data;
  data.files({"wood/train/good/0.png", "wood/test/good/0.png", "wood/test/hole/0.png", "wood/validation/good/0.png"});
  const std::string root = data.path().string();
  const Ended text = run_program_file("lriad-tool", {"describe-data", "--data", root, "--format", "mvtec"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("wood: 266 normal, 60 defect"));
  EXPECT_THAT(text.out, HasSubstr("wood, normal: 2, published 266"));
  EXPECT_THAT(text.err, HasSubstr("does not read wood/validation"));
  const Ended ended = run_program_file("lriad-tool", {"describe-data", "--data", root, "--json", "--quiet"});
  const auto report = nlohmann::json::parse(ended.out);
  EXPECT_EQ(report["objects"]["wood"],
            nlohmann::json::parse(R"({"normal": 2, "defect": 1, "defect_types": {"hole": 1}})"));
  EXPECT_EQ(report["left_out"], nlohmann::json::parse(R"(["wood/validation"])"));
  EXPECT_EQ(report["published"]["set"], "MVTec-AD");
  EXPECT_EQ(report["published"]["objects"]["bottle"]["normal"], 229);
}

TEST(DescribeData, RefusesWhatAConfigWouldRefuse) {
  const Ended ended = run_program_file("lriad-tool", {"describe-data", "--data", "/nonexistent", "--format", "mvtek"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr("--format: data.format is \"mvtek\", expected mvtec"), HasSubstr("did you mean mvtec?")));
}

}  // namespace
}  // namespace lriad
