#pragma once

#include <span>
#include <string>

#include "lriad/model/model_config.h"

namespace lriad {

/// Where config.json says that the head is the embedding.
enum class TiedIn { kTopElseText, kTopOrText, kTop };

/// One architecture: the values that config.json may leave out, the parts that no field of config.json names, and how
/// its published files spell things. Source: configuration_<model_type>.py of transformers 5.23.
struct ModelFamily {
  const char* model_type;
  const char* architecture;     ///< class of transformers
  const char* processor_class;  ///< the same of its processor
  const char* vision_act;       ///< vision_config.hidden_act
  const char* vision_width;     ///< key of the tower's width in vision_config
  bool own_head_dim;            ///< text_config.head_dim instead of hidden_size / heads
  bool mrope_type;              ///< rope type "mrope" is the same as "default"
  bool old_names;               ///< tensors are published as visual... and model..., not model.visual...
  bool nested;                  ///< config.json is published with text_config
  TiedIn tied_in;
  TextConfig text;
  VisionConfig vision;
};

std::span<const ModelFamily> model_families();

/// The row of a model_type; null for one that is not known.
const ModelFamily* find_model_family(const std::string& model_type);

/// The name of a tensor in the family's published files.
std::string published_name(const std::string& canonical, const ModelFamily& family);

}  // namespace lriad
