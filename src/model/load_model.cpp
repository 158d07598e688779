#include "lriad/model/load_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DefaultDtype.h>

#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

/// Floating-point tensors made without a dtype are of `dtype` while this lives.
class DefaultDtype {
 public:
  explicit DefaultDtype(at::ScalarType dtype) : before_(c10::get_default_dtype()) {
    c10::set_default_dtype(caffe2::TypeMeta::fromScalarType(dtype));
  }
  ~DefaultDtype() { c10::set_default_dtype(before_); }
  DefaultDtype(const DefaultDtype&) = delete;
  DefaultDtype& operator=(const DefaultDtype&) = delete;

 private:
  caffe2::TypeMeta before_;
};

}  // namespace

void limit_threads(const TextConfig& text) {
  constexpr int64_t kNarrow = 256;
  if (text.hidden_size < kNarrow && std::getenv("OMP_NUM_THREADS") == nullptr) at::set_num_threads(1);
}

at::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBfloat16:
      return at::kBFloat16;
    case Dtype::kFloat32:
      return at::kFloat;
    case Dtype::kFloat64:
      return at::kDouble;
  }
  throw InternalError("[model] unknown dtype");
}

Qwen2Vl load_model(const std::filesystem::path& model_dir, at::ScalarType dtype, const at::Device& device) {
  const ModelConfig config = read_model_config(model_dir);
  const DefaultDtype default_dtype(dtype);
  // The constructor's tensors are never touched, so they take no memory before the weights replace them.
  Qwen2Vl model(config);
  std::map<std::string, at::Tensor> parameters;
  for (const auto& item : model->named_parameters()) parameters[item.key()] = item.value();
  load_weights(model_dir, config, parameters, dtype, device);
  model->eval();
  return model;
}

void add_lora(Qwen2Vl& model, const AdapterConfig& config, double dropout) {
  model->add_lora([&](const std::string& module) { return config.shape_of(module); }, dropout);
}

void add_adapter(Qwen2Vl& model, const Adapter& adapter, double dropout) {
  check_adapter(adapter, model->config());
  model->add_lora(
      [&](const std::string& module) {
        return adapter.has_branch(module) ? adapter.config.shape_of(module) : std::nullopt;
      },
      dropout);
  const at::NoGradGuard no_grad;
  const auto branches = model->lora_parameters();
  for (const auto& [name, tensor] : adapter.tensors) {
    const auto branch = branches.find(name);
    if (branch == branches.end()) {
      fail("model", "the adapter has ", name, ", a branch of a layer that gets none here; ",
           "merge it into the model first: lriad-tool merge");
    }
    at::Tensor(branch->second).copy_(tensor);
  }
  auto weights = model->named_parameters();
  for (const auto& [name, tensor] : adapter.saved) weights[name].set_data(tensor.to(weights[name].options()));
}

}  // namespace lriad
