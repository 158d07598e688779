#pragma once

namespace CLI {
class App;
}

namespace lriad {

/// Adds the command make-data with its options; the command runs when it is parsed. It throws Error for bad options and
/// failed writes.
void add_make_data_command(CLI::App& app);

}  // namespace lriad
