#pragma once

namespace lriad {

/// How gradients are summed over GPUs. kRankOrder: every rank gathers all parts and adds them in rank order, so the
/// bits do not depend on how the ranks are spread over machines. kRing: NCCL's ring all-reduce, which moves 2/R of that
/// for R ranks, but whose order of addition follows the ring.
enum class AllReduce { kRankOrder, kRing };

}  // namespace lriad
