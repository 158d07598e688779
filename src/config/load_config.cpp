#include "lriad/config/load_config.h"

#include "lriad/config/prompt_template.h"
#include "lriad/core/error.h"
#include "presets.h"
#include "relations.h"
#include "settings_reader.h"

namespace lriad {
namespace {

/// Sets the keys that somebody set and the preset's on those that are left.
LoadedConfig resolve(const SettingsReader& reader) {
  LoadedConfig loaded;
  if (reader.has_eval_data()) loaded.config.eval_data.emplace();
  std::vector<Key> keys = key_table(loaded.config);
  for (Key& key : keys) {
    const auto found = reader.settings().find(key.name);
    const bool is_set = found != reader.settings().end() && !key.field->read(*found->second.node);
    loaded.origins[key.name] = is_set ? found->second.origin : "default";
  }
  if (!reader.has_eval_data()) loaded.origins["eval_data"] = "default";
  if (!loaded.config.preset) return loaded;
  for (const auto& [name, value] : preset_settings(*loaded.config.preset)) {
    for (Key& key : keys) {
      if (key.name != name || reader.settings().contains(name)) continue;
      if (const auto problem = key.field->read(*parse_yaml(value, "preset")))
        fail("config", "preset: ", name, " ", *problem);
      loaded.origins[name] = concat("preset ", *loaded.config.preset);
    }
  }
  return loaded;
}

}  // namespace

LoadedConfig load_config(const ConfigInput& input) {
  SettingsReader reader;
  for (const auto& file : input.files) reader.read_file(file);
  for (const std::string& set : input.sets) reader.read_set(set);
  for (const ConfigInput::Option& option : input.options) reader.read_option(option);
  LoadedConfig loaded = resolve(reader);
  fit_to_reference(loaded.config);
  const Complain complain = [&](const std::vector<std::string>& keys, const std::string& text) {
    reader.complain(keys, text);
  };
  // With a file missing, everything that it would have set seems to be missing too.
  if (reader.all_sources_read()) check_required(loaded.config, input.use, complain);
  check_relations(loaded.config, input.use, complain);
  reader.throw_problems();
  return loaded;
}

}  // namespace lriad
