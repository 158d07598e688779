#pragma once

#include "train_options.h"

namespace lriad {

/// Reads the config, starts or joins the world of processes, trains; or prints, plans or replays, as asked.
/// `arguments`: the program's own, for the processes that it starts. Returns the exit code.
int run_train(TrainCommandLine line, const std::vector<std::string>& arguments);

}  // namespace lriad
