#pragma once

namespace lriad {

// Templates as published, in Jinja (licence of the models: Apache 2.0).
extern const char* const kQwen2VlTemplate;  ///< of Qwen2-VL and Qwen2.5-VL
extern const char* const kQwen3VlTemplate;  ///< of the Qwen3-VL Instruct models

}  // namespace lriad
