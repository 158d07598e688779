#pragma once

#include <ATen/Context.h>

namespace lriad {

/// While it lives, operators of a GPU that add in no fixed order take their deterministic variants. Not for products:
/// those of cuBLAS are refused then, although with one stream equal runs give equal bits.
class DeterministicOperators {
 public:
  DeterministicOperators() {
    context_.setDeterministicAlgorithms(true, /*warn_only=*/false);
    context_.setDeterministicFillUninitializedMemory(false);
  }
  ~DeterministicOperators() {
    context_.setDeterministicAlgorithms(on_, warn_only_);
    context_.setDeterministicFillUninitializedMemory(fills_);
  }
  DeterministicOperators(const DeterministicOperators&) = delete;
  DeterministicOperators& operator=(const DeterministicOperators&) = delete;

 private:
  at::Context& context_ = at::globalContext();
  bool on_ = context_.deterministicAlgorithms(), warn_only_ = context_.deterministicAlgorithmsWarnOnly();
  bool fills_ = context_.deterministicFillUninitializedMemory();
};

}  // namespace lriad
