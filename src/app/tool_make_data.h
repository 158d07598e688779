#pragma once

namespace CLI {
class App;
}

namespace lriad {

/// Adds `make-data` with its options; parsing it draws the data set. Throws Error for bad options and failed writes.
void add_make_data_command(CLI::App& app);

}  // namespace lriad
