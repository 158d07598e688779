#include "step_graph.h"

// Without CUDA nothing is recorded.
namespace lriad {

struct StepGraph::Recording {};

StepGraph::StepGraph(const c10::Device&, std::function<void()> work) : work_(std::move(work)) {}
StepGraph::~StepGraph() = default;
void StepGraph::run() { work_(); }

}  // namespace lriad
