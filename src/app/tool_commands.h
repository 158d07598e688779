#pragma once

namespace CLI {
class App;
}

namespace lriad {

/// Each function adds one command of lriad-tool with its options; the command runs when it is parsed. It throws Error
/// for bad options, bad input and failed writes, and then leaves no output.
void add_make_model_command(CLI::App& app);
void add_merge_command(CLI::App& app);
void add_tokenize_command(CLI::App& app);
void add_preprocess_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_describe_data_command(CLI::App& app);
void add_audit_rewards_command(CLI::App& app);

}  // namespace lriad
