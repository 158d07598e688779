#include "lriad/model/model_config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "lriad/core/error.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

TEST(ModelConfig, IsRefusedClearlyWhateverStandsInTheFile) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  for (const std::string& text : {std::string("{\"text_config\": 5}"), std::string("{\"text_config\": null}"),
                                  std::string("[]"), std::string(), "{\"vision_config\": " + deep + "}"}) {
    const TempFolder folder;
    std::ofstream(folder.path() / "config.json") << text;
    EXPECT_THROW(read_model_config(folder.path()), Error) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace lriad
