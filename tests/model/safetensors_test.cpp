#include "lriad/model/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string file_of(const std::string& header, std::size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

class BadFile : public ::testing::Test {
 protected:
  void expect(const std::string& bytes, const char* error) {
    const auto path = folder_.path() / "x.safetensors";
    write_file_atomic("test", path, bytes);
    EXPECT_THAT([&] { const SafetensorsFile file(path); }, ThrowsMessage<Error>(HasSubstr(error)))
        << bytes.substr(0, 90);
  }
  TempFolder folder_;
};

TEST_F(BadFile, IsRefusedForTheReasonsOfTheReference) {
  expect("1234567", "HeaderTooSmall");
  expect(std::string(8, '\xFF'), "HeaderTooLarge");
  expect(file_of("{}", 0).substr(0, 9), "InvalidHeaderLength");
  expect(file_of("{\xFF}", 0), "InvalidHeader:");
  expect(file_of("{", 0), "InvalidHeaderDeserialization");
  expect(file_of(std::string(100000, '['), 0), "InvalidHeaderDeserialization");
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  expect(file_of(entry("F99", "[1]", "[0,4]"), 4), "InvalidHeaderDeserialization");
  expect(file_of(entry("F32", "[-1]", "[0,4]"), 4), "InvalidHeaderDeserialization");
  expect(file_of(entry("F32", "[1]", "[4,0]"), 4), "InvalidOffset");
  expect(file_of(entry("F32", "[1]", "[4,8]"), 8), "InvalidOffset");
  expect(file_of(entry("F32", "[2]", "[0,4]"), 4), "TensorInvalidInfo");
  expect(file_of(entry("F32", "[4611686018427387904,8]", "[0,4]"), 4), "ValidationOverflow");
  expect(file_of(entry("F4", "[1]", "[0,1]"), 1), "MisalignedSlice");
  expect(file_of(entry("F32", "[1]", "[0,4]"), 5), "MetadataIncompleteBuffer");
  expect(
      file_of(
          R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
          1),
      "the header has the key \"a\" twice");
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const TempFolder folder;
  const auto path = folder.path() / "t.safetensors";
  const std::map<std::string, at::Tensor> tensors = {{"b", at::arange(6, at::kFloat).view({2, 3})},
                                                     {"a", at::arange(3, at::kLong)},
                                                     {"half", at::ones({3}, at::kBFloat16)},
                                                     {"none", at::empty({0, 4})},
                                                     {"byte", at::full({}, 7, at::kByte)}};
  write_safetensors(path, tensors);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.entries().front().name, "a");  // the largest type first
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(at::equal(file.tensor(name), tensor)) << name;
  file.tensor("b").fill_(9);  // a write stays in this process
  EXPECT_TRUE(at::equal(SafetensorsFile(path).tensor("b"), tensors.at("b")));
}

}  // namespace
}  // namespace lriad
